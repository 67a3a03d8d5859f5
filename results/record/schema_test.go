package record_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/results/record"
)

var update = flag.Bool("update", false, "rewrite SCHEMA.md")

const schemaIntroduction = `# The record of a run: result.json

A record has the schema ` + "`" + record.Schema + "`" + `. It is one JSON object, written and read by the Go package
` + "`results/record`" + `, whose comments this file repeats: it is written by ` + "`go test ./results/record -update`" + `, and
the tests fail when it lacks a field.

- Absent differs from zero: what was not measured does not appear. Fields marked "optional" may be absent; a list that
  is empty may be ` + "`null`" + `.
- "float" is a number, or one of the strings "NaN", "Infinity" and "-Infinity". "number" is always finite.
- Times are in seconds, sizes in bytes, shares between 0 and 1, digests SHA-256 in hexadecimal; "time" is RFC 3339.
- A field may be added without a new schema, so a reader passes over what it does not know. A field is never renamed,
  moved or given another meaning without one.
- A record that contradicts itself is refused: see ` + "`(*record.Run).Validate`" + `. Above all, ` + "`timing.speedup`" + ` is
  there after ` + "`parity.verdict`" + ` "PASS" alone.

The record of ` + "`tandem bench --sweep`" + ` has the schema ` + "`" + record.SweepSchema + "`" + ` and begins at "Sweep"; the same rules hold.
`

// TestSchemaNamesEveryField derives the tables from the types by reflection, so no field can be missing, and from the
// comments in the source.
func TestSchemaNamesEveryField(t *testing.T) {
	comments := map[string]string{}
	for _, dir := range []string{".", "../engine", "../../fixtures/experiment"} {
		readComments(t, dir, comments)
	}
	var buf bytes.Buffer
	buf.WriteString(schemaIntroduction)
	todo := []reflect.Type{reflect.TypeFor[record.Run](), reflect.TypeFor[record.Sweep]()}
	seen := map[reflect.Type]bool{todo[0]: true, todo[1]: true}
	fields := 0
	for len(todo) > 0 {
		typ := todo[0]
		todo = todo[1:]
		key := typeKey(typ)
		fmt.Fprintf(&buf, "\n## %s\n\n%s\n\n| field | type | meaning |\n| --- | --- | --- |\n", title(typ), comments[key])
		for f := range typ.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" {
				continue // not in the file
			}
			if name == "" {
				t.Errorf("%s.%s has no JSON name", key, f.Name)
			}
			fields++
			meaning := comments[key+"."+f.Name]
			if strings.Contains(options, "omitempty") {
				meaning = strings.TrimRight("optional. "+meaning, " .")
			}
			fmt.Fprintf(&buf, "| `%s` | %s | %s |\n", name, jsonType(f.Type, func(s reflect.Type) {
				if !seen[s] {
					seen[s] = true
					todo = append(todo, s)
				}
			}), strings.ReplaceAll(meaning, "|", `\|`))
		}
	}
	if fields < 150 {
		t.Fatalf("found %d fields, far fewer than a record has", fields)
	}
	if *update {
		if err := os.WriteFile("SCHEMA.md", buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("SCHEMA.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(buf.String(), string(got)); diff != "" {
		t.Errorf("SCHEMA.md is not what the types say; run: go test ./results/record -update (-want +got)\n%s", diff)
	}
}

func typeKey(t reflect.Type) string { return filepath.Base(t.PkgPath()) + "." + t.Name() }

// title tells types of the same name apart.
func title(t reflect.Type) string {
	if filepath.Base(t.PkgPath()) == "record" {
		return t.Name()
	}
	return typeKey(t)
}

// jsonType names a type as JSON has it; struct is told about each struct.
func jsonType(t reflect.Type, structure func(reflect.Type)) string {
	switch {
	case t == reflect.TypeFor[record.Float]():
		return "float"
	case t == reflect.TypeFor[time.Time]():
		return "time"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem(), structure)
	case reflect.Slice, reflect.Array:
		return "list of " + jsonType(t.Elem(), structure)
	case reflect.Map:
		return "object of " + jsonType(t.Elem(), structure)
	case reflect.Struct:
		structure(t)
		return title(t)
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Interface:
		return "anything"
	default:
		return "integer"
	}
}

// readComments gathers the comments of a folder's types and of their fields.
func readComments(t *testing.T, dir string, comments map[string]string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	text := func(groups ...*ast.CommentGroup) string {
		var words []string
		for _, g := range groups {
			words = append(words, strings.Fields(g.Text())...)
		}
		return strings.Join(words, " ")
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				return true
			}
			for _, spec := range decl.Specs {
				ts := spec.(*ast.TypeSpec)
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				key := file.Name.Name + "." + ts.Name.Name
				comments[key] = text(decl.Doc, ts.Doc)
				for _, f := range st.Fields.List {
					for _, name := range f.Names {
						comments[key+"."+name.Name] = text(f.Doc, f.Comment)
					}
				}
			}
			return true
		})
	}
}
