package pytorch

import (
	"os"
	"strings"
	"testing"
)

func TestRequirementsArePinned(t *testing.T) {
	r := pinned()
	in, err := os.ReadFile("requirements.in")
	if err != nil {
		t.Fatal(err)
	}
	versions := r.versions()
	for _, name := range needed {
		if versions[name] == "" || !strings.Contains(string(in), name+"=="+versions[name]+"\n") {
			t.Errorf("%s: version %q in requirements.txt is not the one of requirements.in", name, versions[name])
		}
	}
	if len(r.uvHashes()) < 10 {
		t.Errorf("%d hashes of uv, want those of all platforms", len(r.uvHashes()))
	}
	for _, text := range []string{r.text, r.uv} {
		for _, mark := range []string{"://", "--index", "--extra-index", "--find-links"} {
			if strings.Contains(text, mark) {
				t.Errorf("a requirements file names a place to get packages from: it contains %q", mark)
			}
		}
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			if requirementLine.MatchString(line) && !strings.Contains(lines[i+1], "--hash=sha256:") {
				t.Errorf("no hash after %q", line)
			}
		}
	}
}

func TestWithoutTorch(t *testing.T) {
	r := requirements{text: `# comment
cuda-bindings==13.5.0 ; sys_platform == 'linux' \
    --hash=sha256:01
numpy==2.4.6 \
    --hash=sha256:02 \
    --hash=sha256:03
nvidia-cublas==13.4.1.3 ; sys_platform == 'linux' \
    --hash=sha256:04
torch==2.15.0 \
    --hash=sha256:05
torchless==1.0 \
    --hash=sha256:06
triton==3.9.0 ; sys_platform == 'linux' \
    --hash=sha256:07
`}
	const want = `# comment
numpy==2.4.6 \
    --hash=sha256:02 \
    --hash=sha256:03
torchless==1.0 \
    --hash=sha256:06
`
	if got := r.withoutTorch(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if left := (requirements{text: pinned().withoutTorch()}).versions(); len(left) != len(needed)-1 || left["torch"] != "" {
		t.Errorf("of the pinned packages %v are left, want all but torch", left)
	}
}

func TestRequirementsDigest(t *testing.T) {
	base := requirements{text: "a==1 \\\n    --hash=sha256:01\n", uv: "uv==1\n"}
	tests := []struct {
		name   string
		other  requirements
		same   bool
		reason string
	}{
		{"comment", requirements{text: "# made by X\n" + base.text, uv: base.uv}, true, "it installs nothing"},
		{"version", requirements{text: strings.Replace(base.text, "a==1", "a==2", 1), uv: base.uv}, false, ""},
		{"hash", requirements{text: strings.Replace(base.text, "01", "02", 1), uv: base.uv}, false, "another file"},
		{"uv", requirements{text: base.text, uv: "uv==2\n"}, false, "another installer"},
	}
	for _, tt := range tests {
		if same := base.digest() == tt.other.digest(); same != tt.same {
			t.Errorf("%s: same digest %v, want %v: %s", tt.name, same, tt.same, tt.reason)
		}
	}
}
