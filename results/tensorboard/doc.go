// Package tensorboard writes the curves of a record as TensorBoard's event files: a folder for each engine with its losses, and in the
// candidate's the rho and the float64 gap of every tensor at the judged steps. It shows no speed.
//
// An event file is a sequence of TFRecords (https://www.tensorflow.org/tutorials/load_data/tfrecord): the length of the data in eight
// bytes, a checksum of these, the data, a checksum of it; all little-endian, the checksums CRC-32C, masked. The data are messages of
// tensorflow/core/util/event.proto. Of these few fields are needed, so they are written by hand and not by generated code.
package tensorboard
