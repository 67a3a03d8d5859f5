package op

import (
	"fmt"
	"os"
	"unsafe"

	"tandem/native/kernel"
)

// ConvVariable is the environment variable that forces the algorithm of convolutions: direct, or winograd wherever it is possible (in float64 as well). Unset or empty, Winograd's
// is chosen in float32 where it is possible.
const ConvVariable = "TANDEM_CONV"

// CheckConvVariable reports a value of TANDEM_CONV that is none.
func CheckConvVariable() error {
	switch v := os.Getenv(ConvVariable); v {
	case "", "direct", "winograd":
		return nil
	default:
		return fmt.Errorf(`environment variable %s: %q is none of "direct" and "winograd"`, ConvVariable, v)
	}
}

// fitsWinograd reports whether Winograd's algorithm can compute the convolution.
func (c *convolution) fitsWinograd() bool {
	w := &c.window
	return c.rank == 2 && c.groups == 1 && w.Kernel == [3]int{1, 3, 3} && w.Stride == [3]int{1, 1, 1} && w.Dilation == [3]int{1, 1, 1} &&
		w.Pad[1] <= 2 && w.Pad[2] <= 2 && c.inputs > 0 && c.inputs%kernel.WinogradChannels == 0 && c.outputs > 0 && c.outputs%kernel.WinogradChannels == 0 &&
		c.images > 0
}

// usesWinograd reports whether it does for elements of so many bytes.
func (c *convolution) usesWinograd(elementBytes uintptr) bool {
	if !c.fitsWinograd() {
		return false
	}
	switch os.Getenv(ConvVariable) {
	case "direct":
		return false
	case "winograd":
		return true
	}
	return elementBytes == unsafe.Sizeof(float32(0)) && c.images*(c.window.Out[1]-1)*(c.window.Out[2]-1) >= winogradFrom
}

// winogradFrom is the least number of elements, of all images, that a weight at a corner of the window sees where Winograd's algorithm is chosen by
// itself. A weight's gradient is exactly zero where all of them are, as they may be behind a ReLU if they are few: the corner of a 2x2 image
// sees one in each. Winograd's algorithm adds others' shares and takes them away again, which leaves a rounding in the zero's place, and
// Adam makes a step of full size of the smallest gradient that is not zero. Small products gain nothing by it anyway.
const winogradFrom = 64

// winograd is the convolution as Winograd's algorithm takes it.
func (c *convolution) winograd() kernel.Winograd {
	w := &c.window
	return kernel.Winograd{
		Images: c.images, InHeight: w.In[1], InWidth: w.In[2], OutHeight: w.Out[1], OutWidth: w.Out[2], PadTop: w.Pad[1], PadLeft: w.Pad[2], In: c.inputs, Out: c.outputs,
	}
}

// winogradBack is the convolution of the output's gradient that gives the input's.
func (c *convolution) winogradBack() kernel.Winograd {
	w := c.winograd()
	w.InHeight, w.InWidth, w.OutHeight, w.OutWidth = w.OutHeight, w.OutWidth, w.InHeight, w.InWidth
	w.In, w.Out, w.PadTop, w.PadLeft = w.Out, w.In, 2-w.PadTop, 2-w.PadLeft
	return w
}

// algorithm names what computes the convolution.
func (c *convolution) algorithm(elementBytes uintptr) string {
	switch {
	case c.usesWinograd(elementBytes):
		return "winograd F(4x4)"
	case c.depthwise():
		return "depthwise"
	case c.groups > 1 && c.rank == 2 && FitsNHWC(make([]int, 4), []int{c.filters, c.inputs, 1, 1}, int64(c.groups)):
		return "products of groups in place"
	case c.window.KernelLen() == 1:
		return "product of a 1x1 window"
	}
	return "product of unfolded images"
}
