package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/results/record/recordtest"
	"tandem/results/report"
)

// browser finds Chromium or skips, which TANDEM_REQUIRE=chromium forbids.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if slices.Contains(strings.Split(os.Getenv("TANDEM_REQUIRE"), ","), "chromium") {
		t.Fatal("TANDEM_REQUIRE asks for chromium: there is none (Debian: apt-get install chromium)")
	}
	t.Skip("no Chromium to open the page in (Debian: apt-get install chromium); TANDEM_REQUIRE=chromium makes this a failure")
	return ""
}

// open loads a page in Chromium and returns the document as it stands then, and what was written to the console.
func open(t *testing.T, chromium, file string) (dom, console string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	c := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=4000",
		"--enable-logging=stderr", "--dump-dom", "file://"+file)
	var out, messages strings.Builder
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", c, err, messages.String())
	}
	for line := range strings.Lines(messages.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return out.String(), console
}

// probe is put into a copy of the page, in place of its policy, and reports what a reader meets.
const probe = `<script>
addEventListener("load", function () {
  var said = { Width: document.documentElement.scrollWidth, Ready: document.documentElement.dataset.ready, Readouts: [], Field: "", Cell: "", Cut: [] };
  document.querySelectorAll("svg[data-readout]").forEach(function (svg) {
    var box = svg.getBoundingClientRect();
    svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 5 }));
    said.Readouts.push(svg.closest("figure").querySelector(".readout").textContent);
  });
  var figure = document.querySelector("dl.keys [data-path]");
  figure.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  said.Field = document.getElementById("field").textContent;
  var map = document.querySelectorAll(".heat svg")[1];
  map.focus();
  map.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  said.Cell = document.querySelector(".heat-readout").textContent;
  // What is wider than the page, and no box of its own scrolls.
  document.querySelectorAll("p, h1, h2, dd, dt, summary, .strip > *, figcaption, pre, .plot").forEach(function (e) {
    if (e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".scroll")) said.Cut.push(e.tagName + " " + e.textContent.slice(0, 60));
  });
  parent.postMessage(JSON.stringify(said), "*");
});
</script>`

// printed is put into a copy of the page whose rules for paper hold on the screen, and reports what a reader of the paper cannot use: headings
// of nothing, and what says to click.
const printed = `<pre id="said"></pre><script>
addEventListener("load", function () {
  function seen(e) { return e.getClientRects().length > 0; }
  var said = { Shown: 0, Empty: [], Useless: [] };
  document.querySelectorAll("section").forEach(function (s) {
    if (!seen(s)) return;
    said.Shown++;
    if (!Array.from(s.querySelectorAll("table, svg, li, p:not(.screen), pre")).some(seen)) said.Empty.push(s.id);
    var last = Array.from(s.children).filter(seen).pop();
    if (last.matches("h2") || last.matches("p") && last.childElementCount === 1 && last.firstElementChild.matches(".strong")) said.Empty.push(s.id + ": " + last.textContent);
  });
  document.querySelectorAll("p, button, nav, summary").forEach(function (e) { if (seen(e) && /click|button|save /i.test(e.textContent)) said.Useless.push(e.textContent); });
  said.Opened = Array.from(document.querySelectorAll("section.on-request")).map(function (s) { s.querySelector("details").open = true; return seen(s); });
  document.getElementById("said").textContent = JSON.stringify(said);
});
</script>`

// TestHTMLOnPaper looks at the page as it is printed: no heading stands over nothing, nothing asks for a click, and what was opened is there.
func TestHTMLOnPaper(t *testing.T) {
	chromium := browser(t)
	page := html(t, report.Entry{Run: recordtest.Faster()}, report.Entry{Run: recordtest.Failed()}, report.Entry{Sweep: recordtest.Sweep()})
	page = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAllLiteralString(page, "")
	paper := strings.Replace(page, "@media print {", "@media all {", 1)
	if paper == page {
		t.Fatal("the page has no rules for paper")
	}
	file := filepath.Join(t.TempDir(), "paper.html")
	if err := os.WriteFile(file, []byte(strings.Replace(paper, "</body>", printed+"</body>", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	dom, _ := open(t, chromium, file)
	m := regexp.MustCompile(`<pre id="said">([^<]*)</pre>`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("the page said nothing: %s", dom)
	}
	var said struct {
		Shown          int
		Empty, Useless []string
		Opened         []bool
	}
	if err := json.Unmarshal([]byte(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(m[1])), &said); err != nil {
		t.Fatalf("%v: %s", err, m[1])
	}
	if said.Shown < 10 || len(said.Empty) > 0 || len(said.Useless) > 0 {
		t.Errorf("%d sections; headings of nothing: %q; of no use on paper: %q", said.Shown, said.Empty, said.Useless)
	}
	if len(said.Opened) != 3 || slices.Contains(said.Opened, false) {
		t.Errorf("records that were opened are on paper: %v, want three", said.Opened)
	}
}

// TestHTMLInABrowser opens the page as it is, where its policy must let its own script run and nothing complain, and copies of it in
// frames as wide as a phone, a tablet and a desk's screen, where nothing may be wider than the frame.
func TestHTMLInABrowser(t *testing.T) {
	chromium := browser(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	page := html(t, report.Entry{Run: recordtest.Faster()}, report.Entry{Run: recordtest.Failed()}, report.Entry{Sweep: recordtest.Sweep()})
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(file, page)
	dom, console := open(t, chromium, file)
	if !strings.Contains(dom, `data-ready="yes"`) {
		t.Error("the page's script did not run to its end")
	}
	if console != "" {
		t.Errorf("the console says:\n%s", console)
	}

	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`)
	copied := policy.ReplaceAllLiteralString(page, "")
	if copied == page {
		t.Fatal("the page has no policy")
	}
	write(filepath.Join(dir, "copy.html"), strings.Replace(copied, "</body>", probe+"</body>", 1))
	widths := []int{360, 768, 1200}
	frames := `<!DOCTYPE html><meta charset="utf-8"><pre id="said"></pre><script>
var said = {};
addEventListener("message", function (e) {
  document.querySelectorAll("iframe").forEach(function (f) { if (f.contentWindow === e.source) said[f.width] = JSON.parse(e.data); });
  document.getElementById("said").textContent = JSON.stringify(said);
});
</script>`
	for _, w := range widths {
		frames += fmt.Sprintf(`<iframe src="copy.html" width="%d" height="900"></iframe>`, w)
	}
	write(filepath.Join(dir, "frames.html"), frames)
	dom, _ = open(t, chromium, filepath.Join(dir, "frames.html"))
	m := regexp.MustCompile(`<pre id="said">([^<]*)</pre>`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("the frames said nothing: %s", dom)
	}
	var said map[int]struct {
		Width        int
		Ready, Field string
		Readouts     []string
		Cell         string
		Cut          []string
	}
	if err := json.Unmarshal([]byte(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(m[1])), &said); err != nil {
		t.Fatalf("%v: %s", err, m[1])
	}
	for _, w := range widths {
		s, ok := said[w]
		switch {
		case !ok:
			t.Errorf("width %d: nothing was said", w)
			continue
		case s.Width > w:
			t.Errorf("width %d: the page is %d wide", w, s.Width)
		case s.Ready != "yes":
			t.Errorf("width %d: the script did not run to its end", w)
		}
		if len(s.Cut) > 0 {
			t.Errorf("width %d: cut off: %q", w, s.Cut)
		}
		if len(s.Readouts) < 2 || !regexp.MustCompile(`^step 39[12],  reference 0\.\d+,  candidate 0\.\d+,  envelope [0-9.e-]+$`).MatchString(s.Readouts[0]) {
			t.Errorf("width %d: the curves read %q", w, s.Readouts)
		}
		if want := fmt.Sprint("timing.speedup.median = ", recordtest.Faster().Timing.Speedup.Median); s.Field != want {
			t.Errorf("width %d: the speed-up's field is %q, want %q", w, s.Field, want)
		}
		if !regexp.MustCompile(`^.+, step 1: rho [0-9.]+`).MatchString(s.Cell) {
			t.Errorf("width %d: the second cell of a map reads %q", w, s.Cell)
		}
	}
}
