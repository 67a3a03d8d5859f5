//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"tandem/onnx/tensor"
)

// Available returns nil when the binding is compiled in; whether the library can be loaded, Version tells.
func Available() error { return nil }

// Version loads the library, if that has not happened yet, and returns its version, such as "1.32.0".
func Version(libraryPath string) (string, error) {
	loading.Lock()
	defer loading.Unlock()
	if err := load(libraryPath); err != nil {
		return "", err
	}
	return ort.GetVersion(), nil
}

// The binding has one environment for the whole process. It stays loaded until the process ends: unloading a library whose threads
// may still run is not worth the risk.
var (
	loading sync.Mutex
	loaded  string // path of the library in use
)

// load loads the library; the caller holds loading.
func load(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	switch loaded {
	case path:
		return nil
	case "":
	default:
		return fmt.Errorf("%w: %s is loaded already, and one process cannot use a second library, %s", ErrUnavailable, loaded, path)
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	ort.SetSharedLibraryPath(path)
	// Errors only: the warnings about unused initializers would land on the user's terminal.
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return fmt.Errorf("%w: %s cannot be loaded: %w; it must be the library of the pinned onnxruntime or a newer one", ErrUnavailable, path, err)
	}
	loaded = path
	return nil
}

// Run computes the outputs of the model at modelPath, by name, on the CPU with all graph optimizations off. The inputs must be those
// that the model declares, no more and no fewer.
//
// Limits of the binding: half-precision outputs are refused, a scalar output must be declared as one, and there must be an input.
func Run(libraryPath, modelPath string, inputs map[string]*tensor.Tensor, opts ...Option) (map[string]*tensor.Tensor, error) {
	out, err := run(libraryPath, modelPath, inputs, collect(opts))
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		return nil, fmt.Errorf("ONNX Runtime: %s: %w", modelPath, err)
	}
	return out, nil
}

func run(libraryPath, modelPath string, inputs map[string]*tensor.Tensor, o options) (map[string]*tensor.Tensor, error) {
	loading.Lock()
	err := load(libraryPath)
	loading.Unlock()
	if err != nil {
		return nil, err
	}
	session, err := newSession(modelPath, o)
	if err != nil {
		return nil, err
	}
	defer session.close()

	if err := checkInputs(session.inputs, inputs); err != nil {
		return nil, err
	}
	var in, out, release []ort.Value
	defer func() {
		for _, v := range release {
			_ = v.Destroy() // nothing to do about it, and the result is copied already
		}
	}()
	for _, info := range session.inputs {
		v, err := toValue(inputs[info.Name])
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", info.Name, err)
		}
		in, release = append(in, v), append(release, v)
	}
	for _, info := range session.outputs {
		v, err := allocate(info)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", info.Name, err)
		}
		out = append(out, v)
		if v != nil {
			release = append(release, v)
		}
	}
	allocated := slices.Clone(out)
	if err := session.Run(in, out); err != nil {
		// What Run has put into out by now may be nil pointers: leave it alone.
		return nil, err
	}
	for i, v := range out {
		if allocated[i] == nil {
			release = append(release, v)
		}
	}
	result := make(map[string]*tensor.Tensor, len(out))
	for i, info := range session.outputs {
		t, err := fromValue(out[i])
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", info.Name, err)
		}
		result[info.Name] = t
	}
	return result, nil
}

// session is a session with what it declares.
type session struct {
	*ort.DynamicAdvancedSession
	options         *ort.SessionOptions
	inputs, outputs []ort.InputOutputInfo
}

func newSession(modelPath string, o options) (s *session, err error) {
	s = &session{}
	defer func() {
		if err != nil {
			s.close()
			s = nil
		}
	}()
	if s.options, err = ort.NewSessionOptions(); err != nil {
		return s, err
	}
	for _, set := range []func() error{
		func() error { return s.options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll) },
		func() error { return s.options.SetExecutionMode(ort.ExecutionModeSequential) },
		func() error { return s.options.SetIntraOpNumThreads(o.threads) },
		func() error { return s.options.SetInterOpNumThreads(1) },
		func() error { return s.options.SetLogSeverityLevel(ort.LoggingLevelError) },
		func() error { return s.options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
	} {
		if err = set(); err != nil {
			return s, err
		}
	}
	if s.inputs, s.outputs, err = ort.GetInputOutputInfoWithOptions(modelPath, s.options); err != nil {
		return s, err
	}
	if len(s.inputs) == 0 {
		return s, errors.New("the model has no input, which the binding cannot run")
	}
	s.DynamicAdvancedSession, err = ort.NewDynamicAdvancedSession(modelPath, names(s.inputs), names(s.outputs), s.options)
	return s, err
}

func (s *session) close() {
	// Errors of releasing memory help nobody.
	if s.DynamicAdvancedSession != nil {
		_ = s.Destroy()
	}
	if s.options != nil {
		_ = s.options.Destroy()
	}
}

func names(infos []ort.InputOutputInfo) []string {
	out := make([]string, len(infos))
	for i, info := range infos {
		out[i] = info.Name
	}
	return out
}

// checkInputs demands exactly the declared inputs, with their element types. ONNX Runtime checks the shapes itself.
func checkInputs(want []ort.InputOutputInfo, have map[string]*tensor.Tensor) error {
	declared := map[string]bool{}
	for _, info := range want {
		declared[info.Name] = true
		t := have[info.Name]
		if t == nil {
			return fmt.Errorf("no value for the input %s", &info)
		}
		if code, ok := codes[t.DType()]; !ok || code != info.DataType {
			return fmt.Errorf("the input %s is given as %v", &info, t)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !declared[name] {
			return fmt.Errorf("the model has no input %q; it has %s", name, strings.Join(names(want), ", "))
		}
	}
	return nil
}

var codes = map[tensor.DType]ort.TensorElementDataType{
	tensor.Float32:  ort.TensorElementDataTypeFloat,
	tensor.Float64:  ort.TensorElementDataTypeDouble,
	tensor.Float16:  ort.TensorElementDataTypeFloat16,
	tensor.BFloat16: ort.TensorElementDataTypeBFloat16,
	tensor.Int8:     ort.TensorElementDataTypeInt8,
	tensor.Int16:    ort.TensorElementDataTypeInt16,
	tensor.Int32:    ort.TensorElementDataTypeInt32,
	tensor.Int64:    ort.TensorElementDataTypeInt64,
	tensor.Uint8:    ort.TensorElementDataTypeUint8,
	tensor.Uint16:   ort.TensorElementDataTypeUint16,
	tensor.Uint32:   ort.TensorElementDataTypeUint32,
	tensor.Uint64:   ort.TensorElementDataTypeUint64,
	tensor.Bool:     ort.TensorElementDataTypeBool,
}

func toValue(t *tensor.Tensor) (ort.Value, error) {
	switch t.DType() {
	case tensor.Float32:
		return typedValue[float32](t)
	case tensor.Float64:
		return typedValue[float64](t)
	case tensor.Int8:
		return typedValue[int8](t)
	case tensor.Int16:
		return typedValue[int16](t)
	case tensor.Int32:
		return typedValue[int32](t)
	case tensor.Int64:
		return typedValue[int64](t)
	case tensor.Uint8:
		return typedValue[uint8](t)
	case tensor.Uint16:
		return typedValue[uint16](t)
	case tensor.Uint32:
		return typedValue[uint32](t)
	case tensor.Uint64:
		return typedValue[uint64](t)
	case tensor.Bool:
		return typedValue[bool](t)
	}
	// Half precision has no Go type.
	return ort.NewCustomDataTensor(shapeOf(t), slices.Clone(t.Bytes()), codes[t.DType()])
}

func typedValue[T tensor.Element](t *tensor.Tensor) (ort.Value, error) {
	// Cloned, because ONNX Runtime is given a pointer and must not be able to change the caller's tensor.
	data := slices.Clone(tensor.View[T](t))
	if len(t.Shape()) == 0 {
		return ort.NewScalar(data[0])
	}
	return ort.NewTensor(shapeOf(t), data)
}

func shapeOf(t *tensor.Tensor) ort.Shape {
	shape := make(ort.Shape, len(t.Shape()))
	for i, n := range t.Shape() {
		shape[i] = int64(n)
	}
	return shape
}

// allocate returns what an output is written to: nil to let the session allocate it, which the binding does wrongly for scalars and
// half precision.
func allocate(info ort.InputOutputInfo) (ort.Value, error) {
	switch {
	case info.OrtValueType != ort.ONNXTypeTensor:
		return nil, fmt.Errorf("%v is no tensor", info.OrtValueType)
	case info.DataType == ort.TensorElementDataTypeFloat16 || info.DataType == ort.TensorElementDataTypeBFloat16:
		return nil, fmt.Errorf("elements of type %v are not supported", info.DataType)
	case len(info.Dimensions) > 0:
		return nil, nil
	}
	// Rank 0. A shape that the model does not declare looks the same; should the value then not be a scalar, the session says so.
	switch info.DataType {
	case ort.TensorElementDataTypeFloat:
		return ort.NewEmptyScalar[float32]()
	case ort.TensorElementDataTypeDouble:
		return ort.NewEmptyScalar[float64]()
	case ort.TensorElementDataTypeInt32:
		return ort.NewEmptyScalar[int32]()
	case ort.TensorElementDataTypeInt64:
		return ort.NewEmptyScalar[int64]()
	case ort.TensorElementDataTypeBool:
		return ort.NewEmptyScalar[bool]()
	}
	return nil, fmt.Errorf("a scalar of type %v is not supported", info.DataType)
}

func fromValue(v ort.Value) (*tensor.Tensor, error) {
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		return fromTyped(v)
	case *ort.Tensor[float64]:
		return fromTyped(v)
	case *ort.Tensor[int8]:
		return fromTyped(v)
	case *ort.Tensor[int16]:
		return fromTyped(v)
	case *ort.Tensor[int32]:
		return fromTyped(v)
	case *ort.Tensor[int64]:
		return fromTyped(v)
	case *ort.Tensor[uint8]:
		return fromTyped(v)
	case *ort.Tensor[uint16]:
		return fromTyped(v)
	case *ort.Tensor[uint32]:
		return fromTyped(v)
	case *ort.Tensor[uint64]:
		return fromTyped(v)
	case *ort.Tensor[bool]:
		return fromTyped(v)
	case *ort.Scalar[float32]:
		return tensor.Of([]float32{v.GetData()})
	case *ort.Scalar[float64]:
		return tensor.Of([]float64{v.GetData()})
	case *ort.Scalar[int32]:
		return tensor.Of([]int32{v.GetData()})
	case *ort.Scalar[int64]:
		return tensor.Of([]int64{v.GetData()})
	case *ort.Scalar[bool]:
		return tensor.Of([]bool{v.GetData()})
	}
	return nil, fmt.Errorf("the runtime answered with a %T, which is not supported", v)
}

func fromTyped[T tensor.Element](v *ort.Tensor[T]) (*tensor.Tensor, error) {
	shape := make([]int, len(v.GetShape()))
	for i, n := range v.GetShape() {
		shape[i] = int(n)
	}
	return tensor.Of(v.GetData(), shape...)
}
