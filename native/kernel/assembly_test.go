package kernel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// betweenPages says for every function of assembly, without its path and the size of its tile, which test puts all the memory that it gets between pages that
// fault.
var betweenPages = map[string]string{
	"TestStrips":        "strip",
	"TestDeepTiles":     "deepTile",
	"TestAdamProduct":   "stripAdam stripAdamDecay",
	"TestTiles":         "copyPanel copyRows transpose8 transposeAdd8",
	"TestDepthwiseRows": "depthwiseSums depthwiseProducts",
	"TestMaxPoolRows":   "maxPoolPixels",
	"TestKeepIsPhilox":  "keep", // and TestKeepRowsIsPhilox
	"TestBatchNormRows": "channelMoments channelGradientSums channelGatedGradientSums channelNormalize channelNormalizeRelu channelNormalizeAdd channelNormalizeAddRelu " +
		"channelData channelGatedData channelGatedDataKeep",
	"TestWinograd": "winogradInput winogradOutput winogradOutputAdd winogradOutputGradient winogradWeights winogradWeightsGradient",
	"TestConformance": "accumulate adagrad adam add addNumber addScaled batchNormData centreAndScale clip clipGradient div divNumber divNumberBy dot dotCentred erf erfGradient exp expSum gate " +
		"gelu geluBoth geluGradient geluTanh geluTanhGradient hardSwish hardSwishGradient largest layerNormGradient layerNormGradientRows layerNormRows layerNormSums accumulateNormalized lion log logSoftmaxGradient mask mul mulNumber nadam " +
		"narrowSubtract narrowSumExp normalize normalizeUnshifted relu reluDropout reluGradient rmsprop rmspropCentered rmspropCenteredMomentum rmspropMomentum scaledExp sgd sgdMomentum " +
		"sgdNesterov sigmoid sigmoidGradient softmaxGradient softmaxGradientRows softmaxRows squares sub subFromNumber subtractBoth sum sumExp sumOfSquares sumRows tanh tanhGradient",
	"": "peak pause", // touch no memory
}

// TestAllAssemblyIsBetweenPages reads the assembly: who adds a function says which test would see it leave its memory.
func TestAllAssemblyIsBetweenPages(t *testing.T) {
	tests := map[string]bool{"": true}
	sources, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				tests[f.Name.Name] = true
			}
		}
	}
	tested := map[string]bool{}
	for test, names := range betweenPages {
		if !tests[test] {
			t.Errorf("there is no test %s", test)
		}
		for name := range strings.FieldsSeq(names) {
			tested[name] = true
		}
	}
	assembly, err := filepath.Glob("*.s")
	if err != nil {
		t.Fatal(err)
	}
	function, variant := regexp.MustCompile(`(?m)^TEXT ·(\w+)\(`), regexp.MustCompile(`(\d+x\d+)?(AVX2|AVX512|AMD64)$`)
	found := map[string]bool{}
	for _, name := range assembly {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range function.FindAllStringSubmatch(string(text), -1) {
			found[variant.ReplaceAllString(match[1], "")] = true
		}
	}
	if !maps.Equal(found, tested) {
		for _, name := range slices.Sorted(maps.Keys(found)) {
			if !tested[name] {
				t.Errorf("%s is not said to be tested between pages that fault", name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(tested)) {
			if !found[name] {
				t.Errorf("%s is said to be tested, and there is none", name)
			}
		}
	}
}
