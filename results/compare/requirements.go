package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// Requirements says what an engine lacks to take part in a role, in the words of the protocol's hello; nil if it lacks nothing. sites is the
// number of Dropout nodes of the model. The error wraps an *engine.Error of the kind "unsupported".
func Requirements(h engine.Hello, role record.Role, sites int) error {
	var lacks []string
	dtypes := []string{"float32"}
	if role == record.Reference {
		dtypes = append(dtypes, "float64")
	}
	for _, t := range dtypes {
		if !slices.Contains(h.DTypes, t) {
			lacks = append(lacks, fmt.Sprintf("compute in %s (dtypes has %q)", t, h.DTypes))
		}
	}
	if role == record.Reference && len(h.Variants) < trace.LeastVariants {
		lacks = append(lacks, fmt.Sprintf("offer at least %d variants that differ in rounding alone, which measure its own noise (variants has %q)", trace.LeastVariants, h.Variants))
	}
	if sites > 0 && !h.SharedRandom {
		lacks = append(lacks, fmt.Sprintf("draw the shared dropout masks, of which the model has %d (shared_random is false)", sites))
	}
	if len(lacks) == 0 {
		return nil
	}
	return engine.Errorf(engine.KindUnsupported, "the engine %s cannot be the %s: it does not %s", h.Name, role, strings.Join(lacks, "; it does not "))
}

// try has a fresh candidate say what it can do and load the model, before the reference trains: what it refuses is known in seconds then.
func (o *Options) try(ctx context.Context) (err error) {
	o.progress("trying the candidate", 0, 0)
	c, err := o.start(ctx, record.Candidate, o.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := Requirements(c.Hello(), record.Candidate, o.Model.DropoutSites); err != nil {
		return err
	}
	if o.Save && !c.Hello().Save {
		return engine.Errorf(engine.KindUnsupported, "the trained model is to be kept (--save), but the engine %s cannot write its model as ONNX", c.Hello().Name)
	}
	_, err = c.Load(ctx, o.load(o.Candidate, engine.RandomShared, ""))
	return err
}
