package report

import (
	"reflect"
	"testing"

	"tandem/fixtures/experiment"
)

// TestThresholdsAreAllShown fails when the experiment gains a limit that a report would hide.
func TestThresholdsAreAllShown(t *testing.T) {
	changed := experiment.DefaultThresholds
	v := reflect.ValueOf(&changed).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInt() {
			f.SetInt(f.Int() + 1)
		} else {
			f.SetFloat(f.Float() * 2)
		}
	}
	shown := map[string]threshold{}
	for _, x := range thresholds(changed) {
		shown[x.name] = x
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		if x, ok := shown[name]; !ok {
			t.Errorf("the limit %s is not shown", name)
		} else if x.changed() == "" {
			t.Errorf("the limit %s is not shown as changed", name)
		}
	}
	for _, x := range thresholds(experiment.DefaultThresholds) {
		if x.changed() != "" {
			t.Errorf("the usual limit %s is shown as changed", x.name)
		}
	}
}
