package onnx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"tandem/onnx/tensor"
)

// ManifestKey is the key of the model's metadata under which the manifest lies.
const ManifestKey = "tandem.manifest"

// ManifestVersion is the version of the manifest that this package reads and writes.
const ManifestVersion = 1

// Manifest says what ONNX cannot: which initializers are trained, and what ties values together across a training step. tandem's
// PyTorch exporter writes it.
type Manifest struct {
	Version          int                `json:"version"` // ManifestVersion
	Exporter         Exporter           `json:"exporter"`
	Parameters       []Parameter        `json:"parameters"`            // in PyTorch's order
	Buffers          []string           `json:"buffers"`               // initializers that PyTorch holds as buffers, such as running statistics
	Constants        []string           `json:"constants"`             // the other initializers
	BatchNorm        []BatchNorm        `json:"batch_norm"`            // nodes in training mode
	Dropout          []DropoutSite      `json:"dropout"`               // in the order of their draws
	Scalars          []Scalar           `json:"scalars,omitempty"`     // constants whose double is known; may be absent
	EmbeddingPadding []EmbeddingPadding `json:"embedding_padding"`     // rows without gradient
	Activations      []Activation       `json:"activations,omitempty"` // values that are outputs of modules; may be absent
	Checks           []string           `json:"checks"`                // sentences on what the exporter verified
}

// Exporter says which versions made the file.
type Exporter struct {
	Name       string `json:"name"`
	Tandem     string `json:"tandem"`
	Torch      string `json:"torch"`
	ONNX       string `json:"onnx"`
	ONNXScript string `json:"onnxscript"`
	Python     string `json:"python"`
}

// Parameter is a named parameter of the PyTorch module.
type Parameter struct {
	Name         string   `json:"name"`    // of the initializer
	Aliases      []string `json:"aliases"` // further names of the same tied weight
	RequiresGrad bool     `json:"requires_grad"`
}

// BatchNorm ties the running statistics that a BatchNormalization node reads to the new ones that it computes.
type BatchNorm struct {
	Node       string  `json:"node"`
	Mean       string  `json:"mean"` // initializer, input 3
	Var        string  `json:"var"`  // initializer, input 4
	MeanOutput string  `json:"mean_output"`
	VarOutput  string  `json:"var_output"`
	Momentum   float64 `json:"momentum"` // PyTorch's: new = (1-momentum)*old + momentum*batch; ONNX writes 1-momentum
}

// DropoutSite is a node that draws a random mask.
type DropoutSite struct {
	Site     int     `json:"site"` // its number, counted from 0 in the order of draws: key of the mask's generator
	Node     string  `json:"node"`
	Operator string  `json:"operator"` // "Dropout" or "Bernoulli"
	P        float64 `json:"p"`        // probability of dropping, in [0, 1]
	Module   string  `json:"module"`   // path of the PyTorch module
}

// Scalar is a float32 constant of one element with the double of the model's source that it stands for: what a trainer in float64
// computes with. Without one, the shortest decimal stands (see [Widen]).
type Scalar struct {
	Value  string  `json:"value"` // initializer
	Number float64 `json:"number"`
}

// EmbeddingPadding is a row of an embedding whose gradient PyTorch sets to zero (padding_idx); ONNX's Gather does not carry it.
type EmbeddingPadding struct {
	Weight string `json:"weight"`
	Row    int    `json:"row"`
}

// Activation is a value of the graph that was found equal to the output of a PyTorch module.
type Activation struct {
	Value  string `json:"value"`
	Module string `json:"module"`
}

const exportAgain = "export the model again with tandem's own exporter"

// ParseManifest decodes a manifest strictly: another version, unknown, missing and null fields and text after the object are errors.
func ParseManifest(text []byte) (*Manifest, error) {
	fail := func(reason string, err error) (*Manifest, error) {
		return nil, &Error{Reason: "manifest (" + ManifestKey + "): " + reason, Err: err, Fix: exportAgain, Kind: ErrInvalid}
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fail("it is not valid JSON", err)
	}
	switch {
	case head.Version == nil:
		return fail("it states no version", nil)
	case *head.Version != ManifestVersion:
		return fail(fmt.Sprintf("it has version %d, but this program reads version %d", *head.Version, ManifestVersion), nil)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	m := &Manifest{}
	if err := dec.Decode(m); err != nil {
		return fail("it does not have the expected form", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fail("text follows it", nil)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return fail("it is not valid JSON", err)
	}
	if absent := missing(tree, reflect.TypeFor[Manifest](), ""); absent != "" {
		return fail("it has no "+absent, nil)
	}
	return m, nil
}

// missing returns the path of the first field that JSON has not filled, "" when there is none: encoding/json would leave it zero, and
// a momentum of 0 freezes statistics. Fields with omitempty may be absent.
func missing(tree any, t reflect.Type, path string) string {
	if tree == nil {
		return path
	}
	switch t.Kind() {
	case reflect.Struct:
		object, _ := tree.(map[string]any) // the typed decoding has made sure
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			value, ok := object[name]
			if !ok && options == "omitempty" {
				continue
			}
			if absent := missing(value, t.Field(i).Type, strings.TrimPrefix(path+"."+name, ".")); absent != "" {
				return absent
			}
		}
	case reflect.Slice:
		array, _ := tree.([]any)
		for i, value := range array {
			if absent := missing(value, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); absent != "" {
				return absent
			}
		}
	}
	return ""
}

// Encode returns the manifest as JSON. Nil lists are written as empty ones, which is what ParseManifest asks for.
func (m *Manifest) Encode() ([]byte, error) {
	c := *m
	c.Parameters = slices.Clone(c.Parameters)
	for i := range c.Parameters {
		c.Parameters[i].Aliases = filled(c.Parameters[i].Aliases)
	}
	c.Parameters, c.Buffers, c.Constants = filled(c.Parameters), filled(c.Buffers), filled(c.Constants)
	c.BatchNorm, c.Dropout, c.EmbeddingPadding, c.Checks = filled(c.BatchNorm), filled(c.Dropout), filled(c.EmbeddingPadding), filled(c.Checks)
	return json.Marshal(&c)
}

func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// check compares the manifest with the graph that it describes.
func (m *Manifest) check(g *Graph) error {
	fail := func(format string, args ...any) error {
		return &Error{Reason: "manifest (" + ManifestKey + "): " + fmt.Sprintf(format, args...), Fix: exportAgain, Kind: ErrInvalid}
	}
	nodes := make(map[string]*Node, len(g.Nodes))
	for _, n := range g.Nodes {
		nodes[n.Name] = n
	}
	role := map[string]string{} // initializer or alias -> where it is listed
	list := func(name, as string) error {
		if name == "" {
			return fail("an empty name is listed as %s", as)
		}
		if was := role[name]; was != "" {
			return fail("%s is listed as %s and again as %s", quote(name), was, as)
		}
		role[name] = as
		return nil
	}
	for _, p := range m.Parameters {
		if err := list(p.Name, "a parameter"); err != nil {
			return err
		}
		for _, a := range p.Aliases {
			if err := list(a, "an alias of "+quote(p.Name)); err != nil {
				return err
			}
			if g.Initializer(a) != nil {
				return fail("parameter %s is tied to %s, but both are initializers of the graph", quote(p.Name), quote(a))
			}
		}
		t := g.Initializer(p.Name)
		switch {
		case t == nil:
			return fail("parameter %s is not an initializer of the graph: the export renamed or folded it", quote(p.Name))
		case p.RequiresGrad && !t.DType().IsFloat():
			return fail("parameter %s is to be trained but is %v", quote(p.Name), t)
		}
	}
	for _, group := range []struct {
		kind  string
		names []string
	}{{"a buffer", m.Buffers}, {"a constant", m.Constants}} {
		for _, name := range group.names {
			if err := list(name, group.kind); err != nil {
				return err
			}
			if g.Initializer(name) == nil {
				return fail("%s, listed as %s, is not an initializer of the graph", quote(name), group.kind)
			}
		}
	}
	for _, init := range g.Initializers {
		if role[init.Name] == "" {
			return fail("initializer %s is listed neither as parameter, buffer nor constant", quote(init.Name))
		}
	}
	if err := m.checkBatchNorm(g, nodes, fail); err != nil {
		return err
	}
	if err := m.checkDropout(g, nodes, fail); err != nil {
		return err
	}
	for _, s := range m.Scalars {
		t := g.Initializer(s.Value)
		switch {
		case role[s.Value] != "a constant":
			return fail("scalars names %s, which is not a constant", quote(s.Value))
		case t.DType() != tensor.Float32 || t.Len() != 1 || tensor.View[float32](t)[0] != float32(s.Number):
			return fail("scalars says that %s is %v, but it is %v", quote(s.Value), s.Number, t)
		}
	}
	for _, e := range m.EmbeddingPadding {
		t := g.Initializer(e.Weight)
		switch {
		case role[e.Weight] != "a parameter":
			return fail("embedding padding names %s, which is not a parameter", quote(e.Weight))
		case len(t.Shape()) == 0 || e.Row < 0 || e.Row >= t.Shape()[0]:
			return fail("embedding padding names row %d of %s, which is %v", e.Row, quote(e.Weight), t)
		}
	}
	return m.checkActivations(g, fail)
}

func (m *Manifest) checkActivations(g *Graph, fail func(string, ...any) error) error {
	if len(m.Activations) == 0 {
		return nil
	}
	computed := make(map[string]bool, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, out := range n.Outputs {
			computed[out] = true
		}
	}
	for _, a := range m.Activations {
		if a.Value == "" || !computed[a.Value] {
			return fail("the activation %s of module %s is not computed in the graph", quote(a.Value), quote(a.Module))
		}
	}
	return nil
}

func (m *Manifest) checkBatchNorm(g *Graph, nodes map[string]*Node, fail func(string, ...any) error) error {
	seen := map[string]bool{}
	for _, b := range m.BatchNorm {
		n := nodes[b.Node]
		switch {
		case n == nil || n.OpType != "BatchNormalization":
			return fail("batch_norm names node %s, but the graph has no BatchNormalization of that name", quote(b.Node))
		case seen[b.Node]:
			return fail("batch_norm names node %s twice", quote(b.Node))
		case n.Input(3) != b.Mean || n.Input(4) != b.Var:
			return fail("batch_norm says that node %s reads the statistics %s and %s, but it reads %s and %s",
				quote(b.Node), quote(b.Mean), quote(b.Var), quote(n.Input(3)), quote(n.Input(4)))
		case n.Output(1) != b.MeanOutput || n.Output(2) != b.VarOutput:
			return fail("batch_norm says that node %s computes the statistics %s and %s, but it computes %s and %s",
				quote(b.Node), quote(b.MeanOutput), quote(b.VarOutput), quote(n.Output(1)), quote(n.Output(2)))
		case g.Initializer(b.Mean) == nil || g.Initializer(b.Var) == nil:
			return fail("the statistics %s and %s of node %s are not both initializers", quote(b.Mean), quote(b.Var), quote(b.Node))
		case !(b.Momentum >= 0 && b.Momentum <= 1): // written so that NaN fails
			return fail("node %s has momentum %v, which is not in [0, 1]", quote(b.Node), b.Momentum)
		}
		seen[b.Node] = true
	}
	return nil
}

// checkDropout demands a site for each drawing node, numbered from 0 in the order of the graph: that is the order of draws.
func (m *Manifest) checkDropout(g *Graph, nodes map[string]*Node, fail func(string, ...any) error) error {
	site := map[string]int{}
	for i, d := range m.Dropout {
		n := nodes[d.Node]
		switch {
		case d.Site != i:
			return fail("dropout site %d stands at place %d: sites are numbered from 0 in order", d.Site, i)
		case n == nil:
			return fail("dropout site %d names node %s, which the graph does not have", d.Site, quote(d.Node))
		case n.OpType != d.Operator:
			return fail("dropout site %d says that node %s is a %s, but it is a %s", d.Site, quote(d.Node), shorten(d.Operator), shorten(n.OpType))
		case d.Operator != "Dropout" && d.Operator != "Bernoulli":
			return fail("dropout site %d has the operator %s, not Dropout or Bernoulli", d.Site, quote(d.Operator))
		case math.IsNaN(d.P) || d.P < 0 || d.P > 1:
			return fail("dropout site %d has the probability %v", d.Site, d.P)
		}
		if _, ok := site[d.Node]; ok {
			return fail("node %s has two dropout sites", quote(d.Node))
		}
		site[d.Node] = i
	}
	next := 0
	for _, n := range g.Nodes {
		s, ok := site[n.Name]
		if !ok {
			continue
		}
		if s != next {
			return fail("dropout site %d (node %s) comes in the graph where site %d belongs", s, quote(n.Name), next)
		}
		next++
	}
	return nil
}
