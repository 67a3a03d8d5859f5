package profile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/timing"
)

// Make turns an engine's answer into the record's profile.
func Make(name string, threads int, answer *engine.Profile) (*record.Profile, error) {
	p := &record.Profile{
		Engine: name, Threads: threads, OperationsPerSecond: answer.OperationsPerSecond, Bandwidths: slices.Clone(answer.Bandwidths),
	}
	var err error
	if p.StepSeconds, err = timing.Summarize(answer.StepSeconds); err != nil {
		return nil, fmt.Errorf("the profile's steps: %w", err)
	}
	if len(answer.Calls) == 0 {
		return nil, errors.New("the profile has no call")
	}
	if !(p.OperationsPerSecond > 0) || len(p.Bandwidths) == 0 {
		return nil, errors.New("the profile has no limits: an engine measures them while it profiles")
	}
	slices.SortFunc(p.Bandwidths, func(a, b engine.Bandwidth) int { return cmp.Compare(a.SetBytes, b.SetBytes) })
	for _, b := range p.Bandwidths {
		if !(b.BytesPerSecond > 0) || b.SetBytes <= 0 {
			return nil, fmt.Errorf("the profile has the bandwidth %v B/s within %d bytes", b.BytesPerSecond, b.SetBytes)
		}
	}
	layers, operators := map[string]int{}, map[string]int{}
	for _, c := range answer.Calls {
		arithmetic, moving := c.Operations/p.OperationsPerSecond, c.Bytes/bandwidth(p.Bandwidths, c.Bytes)
		call := record.ProfileCall{
			Phase: c.Phase, Operator: c.Operator, Layer: c.Layer, Algorithm: c.Algorithm, Seconds: c.Seconds, Operations: c.Operations, Bytes: c.Bytes,
			LimitSeconds: max(arithmetic, moving),
		}
		p.SerialSeconds += arithmetic + moving
		p.Calls = append(p.Calls, call)
		p.CallsSeconds += c.Seconds
		p.LimitSeconds += call.LimitSeconds
		addLayer(p, layers, c, call.LimitSeconds)
		addOperator(p, operators, call)
	}
	slices.SortStableFunc(p.Operators, func(a, b record.ProfileOperator) int {
		return cmp.Compare(b.Seconds-b.LimitSeconds, a.Seconds-a.LimitSeconds)
	})
	return p, nil
}

// bandwidth is that of the smallest set that holds so many bytes, or of the largest.
func bandwidth(sets []engine.Bandwidth, bytes float64) float64 {
	for _, s := range sets {
		if float64(s.SetBytes) >= bytes {
			return s.BytesPerSecond
		}
	}
	return sets[len(sets)-1].BytesPerSecond
}

func addLayer(p *record.Profile, known map[string]int, c engine.ProfileCall, limit float64) {
	i, ok := known[c.Layer]
	if !ok {
		i = len(p.Layers)
		known[c.Layer] = i
		p.Layers = append(p.Layers, record.ProfileLayer{Layer: c.Layer, Module: c.Module, Operator: c.LayerOperator})
	}
	l := &p.Layers[i]
	switch c.Phase {
	case "backward":
		l.BackwardSeconds += c.Seconds
	case "update":
		l.UpdateSeconds += c.Seconds
	default:
		l.ForwardSeconds += c.Seconds
	}
	if c.Algorithm != "" && !slices.Contains(l.Algorithms, c.Algorithm) {
		l.Algorithms = append(l.Algorithms, c.Algorithm)
	}
	l.Operations += c.Operations
	l.Bytes += c.Bytes
	l.LimitSeconds += limit
}

func addOperator(p *record.Profile, known map[string]int, c record.ProfileCall) {
	key := c.Phase + "\x00" + c.Operator
	i, ok := known[key]
	if !ok {
		i = len(p.Operators)
		known[key] = i
		p.Operators = append(p.Operators, record.ProfileOperator{Phase: c.Phase, Operator: c.Operator})
	}
	o := &p.Operators[i]
	o.Calls++
	o.Seconds += c.Seconds
	o.LimitSeconds += c.LimitSeconds
}
