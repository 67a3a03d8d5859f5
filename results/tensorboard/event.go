package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields, of event.proto and summary.proto in github.com/tensorflow/tensorflow/tree/master/tensorflow/core.
const (
	eventWallTime    = 1 // double
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary

	summaryValue = 1 // repeated Summary.Value

	valueTag         = 1 // string
	valueSimpleValue = 2 // float
)

// fileVersion begins every event file.
const fileVersion = "brain.Event:2"

// scalar is one value of a curve.
type scalar struct {
	tag   string
	step  int64
	value float64
}

// writeEvents writes an event file. All events have the same time: the record has none of single steps.
func writeEvents(w io.Writer, wallTime float64, scalars []scalar) error {
	head := event(wallTime, 0)
	head = protowire.AppendTag(head, eventFileVersion, protowire.BytesType)
	head = protowire.AppendString(head, fileVersion)
	if err := writeRecord(w, head); err != nil {
		return err
	}
	for _, s := range scalars {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.tag)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.value)))
		summary := protowire.AppendTag(nil, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
		e := event(wallTime, s.step)
		e = protowire.AppendTag(e, eventSummary, protowire.BytesType)
		e = protowire.AppendBytes(e, summary)
		if err := writeRecord(w, e); err != nil {
			return err
		}
	}
	return nil
}

// event is an event's time and step.
func event(wallTime float64, step int64) []byte {
	e := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	e = protowire.AppendFixed64(e, math.Float64bits(wallTime))
	if step != 0 { // as proto3 has it
		e = protowire.AppendTag(e, eventStep, protowire.VarintType)
		e = protowire.AppendVarint(e, uint64(step))
	}
	return e
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum: a CRC-32C, rotated and shifted so that the checksum of data that holds checksums is no trivial one.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// writeRecord writes one TFRecord.
func writeRecord(w io.Writer, data []byte) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, masked(data))
	_, err := w.Write(b)
	return err
}
