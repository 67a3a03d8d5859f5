package safetensors

import (
	"strconv"

	"tandem/onnx/tensor"
)

// types lists the format's element types that tandem has a type for, in the order of the reference implementation, from narrow to
// wide. The floating-point types of 8 bits and less are not among them.
var types = []struct {
	dtype tensor.DType
	name  string
}{
	{tensor.Bool, "BOOL"},
	{tensor.Uint8, "U8"},
	{tensor.Int8, "I8"},
	{tensor.Int16, "I16"},
	{tensor.Uint16, "U16"},
	{tensor.Float16, "F16"},
	{tensor.BFloat16, "BF16"},
	{tensor.Int32, "I32"},
	{tensor.Uint32, "U32"},
	{tensor.Float32, "F32"},
	{tensor.Float64, "F64"},
	{tensor.Int64, "I64"},
	{tensor.Uint64, "U64"},
}

var (
	dtypes = map[string]tensor.DType{} // by the format's name
	rank   = map[tensor.DType]int{}    // place in types
)

func init() {
	for i, t := range types {
		dtypes[t.name], rank[t.dtype] = t.dtype, i
	}
}

// quote shortens a name from a hostile file so that a message stays readable.
func quote(name string) string {
	const most = 200
	if len(name) > most {
		return strconv.Quote(name[:most]) + "..."
	}
	return strconv.Quote(name)
}
