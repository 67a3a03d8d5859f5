// Package safetensors reads and writes safetensors files, the format in which tandem's engines exchange tensors: eight bytes of
// header length (little-endian), a JSON header with each tensor's element type, shape and byte range, then the bytes.
//
// The format is described at https://huggingface.co/docs/safetensors; files written here are read by the Python package and the
// other way round. Reading is strict, for a file may come from an engine that tandem has never seen: offsets must cover the data
// without gap or overlap, sizes must agree with the shapes, names must be unique, and nothing is allocated that the file's own
// size does not justify.
//
// A state is read whole (ReadFile); of a data set, which may be larger than the memory that training should take, parts are read
// when they are needed (Open). Memory mapping is not offered: mapped pages count as a process's memory as others do.
package safetensors
