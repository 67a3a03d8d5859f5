package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// longestList is the longest list that [everything] writes out.
const longestList = 16

// bulk are the fields that the page shows in full elsewhere.
var bulk = map[string]bool{
	"parity.steps": true, "parity.final_weights": true, "parity.proof.mutants": true, "model.tensors": true, "points": true,
	"profile.calls": true, "profile.layers": true, "profile.operators": true,
}

// everything lists the fields of an encoded record in its order, with every digit. A field that this version of the page does not
// know is in it too. Without speed there is nothing of the timing in it.
func everything(encoded []byte, speed bool) (*table, error) {
	t := &table{Head: []string{"field", "value"}, Class: "fields"}
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.UseNumber()
	if err := t.walk(d, ""); err != nil {
		return nil, fmt.Errorf("list the record: %w", err)
	}
	if !speed {
		t.Rows = slices.DeleteFunc(t.Rows, func(r tableRow) bool {
			return strings.HasPrefix(r.Cells[0].Parts[0].Text, "timing.")
		})
	}
	return t, nil
}

// walk adds the next value of d, which stands at path.
func (t *table) walk(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch x := token.(type) {
	case json.Delim:
		if x == '[' {
			return t.list(d, path)
		}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			below := fieldPath(path, key.(string))
			if bulk[below] {
				var skip json.RawMessage
				if err := d.Decode(&skip); err != nil {
					return err
				}
				continue
			}
			if err := t.walk(d, below); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	case nil:
		return nil
	case string:
		if x != "" {
			t.field(path, clean(x))
		}
	default:
		t.field(path, fmt.Sprint(x))
	}
	return nil
}

// list adds a list: item by item where it is short.
func (t *table) list(d *json.Decoder, path string) error {
	var items []json.RawMessage
	for d.More() {
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return err
		}
		items = append(items, item)
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if len(items) > longestList {
		return nil
	}
	for i, item := range items {
		below := json.NewDecoder(bytes.NewReader(item))
		below.UseNumber()
		if err := t.walk(below, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) field(path, value string) {
	t.add("", []shown{{Text: path, Class: "path"}}, []shown{{Text: value, Path: path}})
}

// fieldPath is the path of a field of what stands at path. A name that has signs of a path in it, or what cannot be seen, is quoted as in
// JSON.
func fieldPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, ".[] \"\\") || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		quoted, _ := json.Marshal(name) // a string always can be
		var b strings.Builder
		for _, r := range string(quoted) {
			if unicode.IsPrint(r) {
				b.WriteRune(r)
				continue
			}
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		}
		return path + "[" + b.String() + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
