package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"tandem/onnx/atomicfile"
	"tandem/results/record"
	"tandem/results/report/webpage"
)

// FileHTML is the page that [HTMLFile] writes beside report.md.
const FileHTML = "report.html"

// largestEmbedded bounds the record that a page carries in itself. A training of 60,000 steps has about 4 MB.
const largestEmbedded = 16 << 20

// Entry is one record of a page: of a run or of a sweep.
type Entry struct {
	Run   *record.Run
	Sweep *record.Sweep
	// Source is the file that the record was read from, as the reader will look for it; "result.json" when empty.
	Source string
}

var pageTemplate = template.Must(template.ParseFS(webpage.Files, "*.gohtml"))

// HTML writes one page that shows the records, a table of all of them first where there are several. The page is whole in itself: it
// loads nothing, and everything but the reading of single values from the charts is there without scripts. Each number in it bears in
// its attribute data-path the field of the record that it shows, and the record itself is in the page too.
func HTML(w io.Writer, entries ...Entry) error {
	if len(entries) == 0 {
		return errors.New("no record to show")
	}
	style, script := asset("report.css"), asset("report.js")
	p := pageView{
		Style: template.CSS(style), Script: template.JS(script),
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digestSource(style), digestSource(script)),
	}
	for i, e := range entries {
		v, err := entryView(e, i, len(entries))
		if err != nil {
			return err
		}
		p.Entries = append(p.Entries, v)
	}
	p.Title = p.Entries[0].Name + ": " + p.Entries[0].Verdict
	if len(entries) > 1 {
		p.Title = plural(len(entries), "comparison")
		p.Summary = summaryView(entries)
	}
	var buf bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&buf, "page.gohtml", p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err := w.Write(buf.Bytes())
	return err
}

// HTMLFile writes the page of [HTML] to a file, as a whole or not at all.
func HTMLFile(path string, entries ...Entry) error {
	var buf bytes.Buffer
	if err := HTML(&buf, entries...); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return atomicfile.WriteBytes(path, buf.Bytes())
}

func asset(name string) string {
	data, err := webpage.Files.ReadFile(name)
	if err != nil {
		panic("report: " + name + " is not embedded")
	}
	return string(data)
}

// digestSource is a text as a source of a Content-Security-Policy (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
func digestSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageView is what the template shows.
type pageView struct {
	Title, Policy string
	Style         template.CSS
	Script        template.JS
	Summary       *table
	Entries       []*view
}

// view is one record's part of the page.
type view struct {
	ID, Record    string // of the elements: "run-1", "record-1"
	Name, Verdict string
	NamePath      string // empty where the record has no name
	VerdictPath   string // empty where the verdict is of several
	Class         string // of the verdict
	Headline      []shown
	Date          shown
	Source        string
	Notes         [][]shown // what must be read before anything else
	Keys          []keyFigure
	Sections      []*section
	Data          template.JS // the record; empty where it is too large
}

// keyFigure is one of the numbers at the top.
type keyFigure struct {
	Label string
	Value []shown
	Note  []shown
	Class string
}

// section has a title and parts.
type section struct {
	ID, Title string
	// OnRequest marks one that has nothing to show on paper unless its details were opened.
	OnRequest bool
	Parts     []part
}

// part is one of its fields.
type part struct {
	Para    []shown
	Screen  bool // what the paragraph says is of no use on paper
	List    [][]shown
	Table   *table
	Figure  *figure
	Strips  *strips
	Heat    []*heat
	Details *details
	Code    *shown
}

// details is a part that is closed until it is asked for.
type details struct {
	Summary []shown
	Parts   []part
}

// shown is a text and the field of the record that it shows.
type shown struct {
	Text string
	// Path names the field as in result.json: "parity.steps[0].loss.rho". One that begins with a point continues that of the element around
	// it. "1 / x" and "x - y" are computed from fields. It is empty of the page's own words.
	Path  string
	Class string
}

// own is a piece of the page's own words.
func own(text string) shown { return shown{Text: text} }

// words are the page's own.
func words(text string) []shown { return []shown{{Text: text}} }

// table is a table whose rows may be fields, and cells fields of them.
type table struct {
	Caption []shown
	Class   string
	Head    []string // a column whose title begins with ">" is aligned right
	Rows    []tableRow
}

type tableRow struct {
	Record string // where the rows are of several records
	Path   string
	Class  string
	Cells  []tableCell
}

type tableCell struct {
	Parts []shown
	Right bool
	Link  string
	// Label is the column's title, for a row that a narrow screen shows as a list; without one the cell is not in it.
	Label string
}

// Columns are the titles as cells.
func (t *table) Columns() []tableCell {
	var out []tableCell
	for _, h := range t.Head {
		name, right := strings.CutPrefix(h, ">")
		out = append(out, tableCell{Parts: words(name), Right: right})
	}
	return out
}

// add appends a row of cells that are aligned as the titles are.
func (t *table) add(path string, cells ...[]shown) {
	r := tableRow{Path: path}
	for i, c := range cells {
		r.Cells = append(r.Cells, tableCell{Parts: c, Right: i < len(t.Head) && strings.HasPrefix(t.Head[i], ">")})
	}
	t.Rows = append(t.Rows, r)
}

func verdictClass(v record.Verdict) string {
	switch v {
	case record.Pass:
		return "pass"
	case record.Fail:
		return "fail"
	}
	return "open"
}

// entryView shows one record; number is its index among count.
func entryView(e Entry, number, count int) (*view, error) {
	if (e.Run == nil) == (e.Sweep == nil) {
		return nil, fmt.Errorf("entry %d must be either a run or a sweep", number)
	}
	var v *view
	var data any
	if e.Run != nil {
		v, data = runView(e.Run), e.Run
	} else {
		v, data = sweepView(e.Sweep), e.Sweep
	}
	v.ID, v.Record, v.Source = fmt.Sprintf("run-%d", number), fmt.Sprintf("record-%d", number), or(clean(e.Source), "result.json")
	for _, s := range v.Sections {
		s.ID = fmt.Sprintf("%s-%s", v.ID, s.ID)
	}
	// json.Marshal writes <, > and & as escapes, so nothing in it can end the element that it stands in.
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if all, err := everything(encoded, e.Run != nil && e.Run.Parity.Verdict == record.Pass); err != nil {
		return nil, err
	} else if len(all.Rows) > 0 {
		v.Sections = append(v.Sections, &section{ID: v.ID + "-record", Title: "The whole record", OnRequest: true, Parts: []part{
			{Para: words("Every field but the long lists, which are drawn and listed above. A path names a field of the record; the record is in this page too, and the button at the top saves it.")},
			{Details: &details{Summary: []shown{own("all fields")}, Parts: []part{{Table: all}}}},
		}})
	}
	if len(encoded) <= largestEmbedded {
		v.Data = template.JS(encoded)
	}
	return v, nil
}
