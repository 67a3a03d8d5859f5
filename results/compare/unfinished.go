package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/onnx/atomicfile"
	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/timing"
	"tandem/results/trace"
)

// unfinishedSchema is the version of what an unfinished run keeps.
const unfinishedSchema = "tandem.unfinished/1"

// The names in a run's folder while it is unfinished.
const (
	unfinishedDir  = "unfinished"
	unfinishedFile = "unfinished.json"
	lockFile       = "lock"
)

// The parts of a comparison that are kept when they are finished.
const (
	partReference = "reference trace"
	partCandidate = "candidate trace"
	partMutants   = "planted mistakes"
	partTrainings = "further trainings"
	partTiming    = "rounds of timing"
	partPoints    = "points of the sweep"
)

// Setup is what must be the same for an interrupted run to go on: another one would mix two experiments in one result.
type Setup struct {
	// Arguments are those of the command, with the place of the result.
	Arguments []string `json:"arguments"`
	// Directory is where it was started: the experiment's file and an engine's command line may be relative to it.
	Directory string `json:"directory"`
	// Tandem is the version, Program the SHA-256 of the program itself: two builds of changed code may have one version.
	Tandem      string             `json:"tandem"`
	Program     string             `json:"program"`
	Environment record.Environment `json:"environment"`
}

// DiffersError is the refusal to go on with a run since something is not what it was.
type DiffersError struct {
	Dir  string
	What string // "the experiment"
	// Differences say what was and what is.
	Differences []string
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s cannot be resumed: %s differs:\n  %s\nStart the run anew, without --resume; the folder can be removed.", e.Dir, e.What, strings.Join(e.Differences, "\n  "))
}

// Unfinished is what a run keeps of itself while it is made, in a folder within its own: each part of the comparison that is finished, and
// what must be the same for the rest. A run that is interrupted, or whose process is killed, is gone on with from there. A nil *Unfinished
// keeps nothing.
type Unfinished struct {
	Setup Setup
	// Folder is the run's.
	Folder *Folder

	mu      sync.Mutex
	dir     string
	state   unfinishedState
	since   time.Time // when this session began
	resumed bool
	unlock  func()
	// failed is why something could not be kept: the run goes on without.
	failed error
}

// unfinishedState is the file.
type unfinishedState struct {
	Schema string `json:"schema"`
	Final  string `json:"final"` // where the run's folder will be
	Work   string `json:"work"`  // of the latest session
	Setup  Setup  `json:"setup"`
	// Prepared is what the comparison is of, once that is known.
	Prepared *prepared `json:"prepared,omitempty"`
	// Engines are what the engines said of themselves.
	Engines map[record.Role]engine.Hello `json:"engines,omitempty"`
	// Finished are the parts that are there.
	Finished []string `json:"finished,omitempty"`
	// Trained is the candidate's trained model, by its path in the run's folder.
	Trained   string                    `json:"trained,omitempty"`
	Mutants   map[string]*record.Mutant `json:"mutants,omitempty"` // null: it does not apply
	Trainings []record.Training         `json:"trainings,omitempty"`
	Timing    *keptTiming               `json:"timing,omitempty"`
	Started   time.Time                 `json:"started"` // the first session
	Seconds   float64                   `json:"seconds"` // of all sessions up to the last part that was kept
	Resumed   []record.Resumption       `json:"resumed,omitempty"`
}

// prepared is what a comparison is of.
type prepared struct {
	Experiment json.RawMessage   `json:"experiment"`
	Data       map[string]string `json:"data"`
	Steps      int               `json:"steps"`
	Model      string            `json:"model"` // the ONNX file's SHA-256
	Threads    int               `json:"threads"`
}

// keptTiming is a measurement that may not have come to its end. How the contenders were chosen is part of it: a few steps decide
// that, and others might decide otherwise.
type keptTiming struct {
	Ranked        []string               `json:"ranked"` // the reference's modes, the fastest in some steps first
	CandidateMode string                 `json:"candidate_mode"`
	LeftOut       []record.LeftOut       `json:"left_out,omitempty"`
	Cold          map[string]timing.Cold `json:"cold"` // how the contenders of the first session started, by name
	Load          []float64              `json:"load,omitempty"`
	Rounds        *timing.Rounds         `json:"rounds"`
	// Sessions are the numbers of rounds after each earlier session.
	Sessions []int `json:"sessions,omitempty"`
}

// Keep begins to keep what is finished of a run in its folder.
func Keep(folder *Folder, s Setup) (*Unfinished, error) {
	u := &Unfinished{
		Setup: s, Folder: folder, dir: folder.File(unfinishedDir), since: time.Now(),
		state: unfinishedState{Schema: unfinishedSchema, Final: folder.final, Work: folder.Work, Setup: s, Started: time.Now().UTC()},
	}
	if err := os.MkdirAll(u.dir, 0o777); err != nil {
		return nil, err
	}
	if err := u.lock(); err != nil {
		return nil, err
	}
	return u, u.write()
}

// FindUnfinished returns the folder of the unfinished run that is meant by a path: the folder itself, or that beside the place where the
// run was to be.
func FindUnfinished(path string) (string, error) {
	if _, err := os.Stat(filepath.Join(path, unfinishedDir, unfinishedFile)); err == nil {
		return path, nil
	}
	var found []string
	parent, base := filepath.Split(filepath.Clean(path))
	entries, err := os.ReadDir(filepath.Clean(parent))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), base+suffix) && !strings.HasPrefix(e.Name(), "."+base+partial) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		if _, err := os.Stat(filepath.Join(dir, unfinishedDir, unfinishedFile)); err == nil {
			found = append(found, dir)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%s: several unfinished runs are meant for it: name one of %s", path, strings.Join(found, ", "))
	}
	if _, err := os.Stat(filepath.Join(path, ResultFile)); err == nil {
		return "", fmt.Errorf("%s is a finished run: there is nothing to resume", path)
	}
	return "", fmt.Errorf("%s is no unfinished run, and there is none beside it", path)
}

// Reopen goes on with an interrupted run, whose folder is dir. now is the setup of this process; its arguments are those of the run.
func Reopen(dir string, now Setup, marks ...string) (_ *Unfinished, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	u := &Unfinished{dir: filepath.Join(dir, unfinishedDir), since: time.Now(), resumed: true}
	file := filepath.Join(u.dir, unfinishedFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &u.state); err != nil || u.state.Schema != unfinishedSchema {
		return nil, fmt.Errorf("%s is not what this tandem writes (schema %q, want %q): start the run anew", file, u.state.Schema, unfinishedSchema)
	}
	was := u.state.Setup
	u.Setup = was
	if was.Directory != now.Directory {
		return nil, &DiffersError{dir, "the folder that tandem runs in", []string{fmt.Sprintf("it was %s, is %s: go there", was.Directory, now.Directory)}}
	}
	if was.Tandem != now.Tandem || was.Program != now.Program {
		return nil, &DiffersError{dir, "tandem itself", differences(
			map[string]string{"version": was.Tandem, "SHA-256 of the program": was.Program}, map[string]string{"version": now.Tandem, "SHA-256 of the program": now.Program},
		)}
	}
	if d := differences(lasting(was.Environment), lasting(now.Environment)); len(d) > 0 {
		return nil, &DiffersError{dir, "the environment", d}
	}
	if err := u.lock(); err != nil {
		return nil, err
	}
	if u.Folder, err = reopenFolder(dir, u.state.Final, marks...); err != nil {
		u.Close()
		return nil, err
	}
	// A process that was killed could not remove its working folder.
	if old := u.state.Work; filepath.Dir(old) == filepath.Clean(os.TempDir()) && strings.HasPrefix(filepath.Base(old), workPrefix) {
		_ = os.RemoveAll(old)
	}
	u.state.Work = u.Folder.Work
	after := "nothing"
	if n := len(u.state.Finished); n > 0 {
		after = strings.Join(u.state.Finished, ", ")
	}
	u.state.Resumed = append(u.state.Resumed, record.Resumption{Started: time.Now().UTC(), After: after})
	if t := u.state.Timing; t != nil && t.Rounds != nil {
		t.Sessions = append(t.Sessions, len(t.Rounds.Medians))
	}
	return u, u.write()
}

// lasting is an environment without what changes from minute to minute, and without what decides no result.
func lasting(e record.Environment) record.Environment {
	e.LoadBefore, e.LoadAfter, e.FrequencyMHz, e.CommandLine, e.MemoryBytes = nil, nil, nil, nil, 0
	return e
}

// Resumed says whether an earlier session is gone on with.
func (u *Unfinished) Resumed() bool { return u != nil && u.resumed }

// Kept says which parts are finished, in words; empty if none is.
func (u *Unfinished) Kept() string {
	if u == nil {
		return ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return strings.Join(u.state.Finished, ", ")
}

// Complete fills in what a record has to say of all sessions.
func (u *Unfinished) Complete(started *time.Time, seconds *float64, resumed *[]record.Resumption, e *record.Environment) {
	if !u.Resumed() {
		return
	}
	before, after := e.LoadBefore, e.LoadAfter
	*started, *seconds, *resumed, *e = u.state.Started, u.seconds(), u.state.Resumed, u.Setup.Environment
	e.LoadBefore, e.LoadAfter = before, after
}

// Close lets go of the folder: another process may go on with it.
func (u *Unfinished) Close() {
	if u != nil && u.unlock != nil {
		u.unlock()
		u.unlock = nil
	}
}

// Suspend leaves a run that did not come to its end. Where a part of it is finished, its folder stays and is returned; else, and if it
// could not be kept, everything is removed and the path is empty.
func (u *Unfinished) Suspend() (string, error) {
	if u == nil {
		return "", nil
	}
	u.Close()
	if !u.resumed && len(u.state.Finished) == 0 {
		u.Folder.Discard()
		return "", u.failed
	}
	dir, err := u.Folder.suspend()
	return dir, errors.Join(u.failed, err)
}

// seconds are those of all sessions until now. mu is held, or nothing else runs.
func (u *Unfinished) seconds() float64 { return u.state.Seconds + time.Since(u.since).Seconds() }

// write writes the state. mu is held, or nothing else runs.
func (u *Unfinished) write() error {
	s := u.state
	s.Seconds = u.seconds()
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(u.dir, unfinishedFile), append(text, '\n'))
}

// keep changes the state and writes it; part, if not empty, is then finished. That something cannot be kept does not end a run: it can
// only not be gone on with.
func (u *Unfinished) keep(part string, files func() error, change func(s *unfinishedState)) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return
	}
	err := error(nil)
	if files != nil {
		err = files()
	}
	if err == nil {
		if change != nil {
			change(&u.state)
		}
		if part != "" && !slices.Contains(u.state.Finished, part) {
			u.state.Finished = append(u.state.Finished, part)
		}
		err = u.write()
	}
	if err != nil {
		u.failed = fmt.Errorf("what was finished could not be kept: %w", err)
	}
}

// has reports whether a part is finished.
func (u *Unfinished) has(part string) bool {
	return u != nil && slices.Contains(u.state.Finished, part)
}

// prepare keeps what the comparison is of, or compares it with what it was.
func (u *Unfinished) prepare(o *Options) error {
	if u == nil {
		return nil
	}
	text, err := o.Experiment.JSON()
	if err != nil {
		return err
	}
	now := &prepared{Experiment: text, Data: o.Data.Record.SHA256, Steps: o.Data.Record.Steps, Model: o.Model.SHA256, Threads: o.Threads}
	was := u.state.Prepared
	if was == nil {
		u.keep("", nil, func(s *unfinishedState) { s.Prepared = now })
		return nil
	}
	for _, x := range []struct {
		what    string
		was, is any
	}{
		{"the experiment", was.Experiment, now.Experiment},
		{"the data", was.Data, now.Data},
		{"the data", map[string]int{"steps of the training": was.Steps}, map[string]int{"steps of the training": now.Steps}},
		{"the model that PyTorch exports", map[string]string{"SHA-256": was.Model}, map[string]string{"SHA-256": now.Model}},
		{"the number of threads", map[string]int{"threads": was.Threads}, map[string]int{"threads": now.Threads}},
	} {
		if d := differences(x.was, x.is); len(d) > 0 {
			return &DiffersError{u.Folder.Dir, x.what, d}
		}
	}
	return nil
}

// engine keeps what an engine says of itself, or compares it with what it said.
func (u *Unfinished) engine(role record.Role, h engine.Hello) error {
	if u == nil {
		return nil
	}
	h.PID = 0
	u.mu.Lock()
	was, ok := u.state.Engines[role]
	u.mu.Unlock()
	if ok {
		if d := differences(was, h); len(d) > 0 {
			return &DiffersError{u.Folder.Dir, fmt.Sprintf("the %s, engine %s,", role, was.Name), d}
		}
		return nil
	}
	u.keep("", nil, func(s *unfinishedState) {
		s.Engines = maps.Clone(s.Engines)
		if s.Engines == nil {
			s.Engines = map[record.Role]engine.Hello{}
		}
		s.Engines[role] = h
	})
	return nil
}

func (u *Unfinished) path(name string) string { return filepath.Join(u.dir, name) }

// keepReference keeps the reference's trace, anew where a step was added to it.
func (u *Unfinished) keepReference(ref *trace.Reference) {
	u.keep(partReference, func() error { return trace.WriteReference(u.path("reference"), ref) }, nil)
}

// reference returns the reference's trace; nil if there is none.
func (u *Unfinished) reference() *trace.Reference {
	if !u.has(partReference) {
		return nil
	}
	ref, err := trace.ReadReference(os.DirFS(u.path("reference")))
	if err != nil {
		return nil // it was being written: it is collected again
	}
	return ref
}

// keepCandidate keeps the candidate's trace and where its trained model is.
func (u *Unfinished) keepCandidate(cand *trace.Candidate, trained string) {
	u.keep(partCandidate, func() error { return trace.WriteCandidate(u.path("candidate"), cand) }, func(s *unfinishedState) {
		if rel, err := filepath.Rel(u.Folder.Dir, trained); err == nil && trained != "" {
			s.Trained = rel
		}
	})
}

// candidate returns the candidate's trace and its trained model; nil if there is none.
func (u *Unfinished) candidate() (*trace.Candidate, string) {
	if !u.has(partCandidate) {
		return nil, ""
	}
	cand, err := trace.ReadCandidate(os.DirFS(u.path("candidate")))
	if err != nil {
		return nil, ""
	}
	if u.state.Trained == "" {
		return cand, ""
	}
	trained := u.Folder.File(u.state.Trained)
	if _, err := os.Stat(trained); err != nil {
		return nil, ""
	}
	return cand, trained
}

// mutant returns the judgement of a planted mistake, and whether there is one.
func (u *Unfinished) mutant(name string) (*record.Mutant, bool) {
	if u == nil {
		return nil, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	m, ok := u.state.Mutants[name]
	return m, ok
}

func (u *Unfinished) keepMutant(name string, m *record.Mutant) {
	u.keep(partMutants, nil, func(s *unfinishedState) {
		if s.Mutants == nil {
			s.Mutants = map[string]*record.Mutant{}
		}
		s.Mutants[name] = m
	})
}

func (u *Unfinished) trainings() []record.Training {
	if u == nil {
		return nil
	}
	return slices.Clone(u.state.Trainings)
}

func (u *Unfinished) keepTraining(t record.Training) {
	u.keep(partTrainings, nil, func(s *unfinishedState) { s.Trainings = append(slices.Clone(s.Trainings), t) })
}

// timing returns an earlier session's measurement; nil if there is none.
func (u *Unfinished) timing() *keptTiming {
	if u == nil {
		return nil
	}
	return u.state.Timing
}

func (u *Unfinished) keepTiming(t *keptTiming) {
	u.keep(partTiming, nil, func(s *unfinishedState) { s.Timing = t })
}

// Points returns the points of a sweep that are finished.
func (u *Unfinished) Points() ([]record.SweepPoint, *SweepHead) {
	if !u.has(partPoints) {
		return nil, nil
	}
	var kept keptPoints
	text, err := os.ReadFile(u.path("points.json"))
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return nil, nil
	}
	return kept.Points, kept.Head
}

// SweepHead is what a sweep's record takes from its first point.
type SweepHead struct {
	Data    record.Data     `json:"data"`
	Engines []record.Engine `json:"engines"`
}

type keptPoints struct {
	Head   *SweepHead          `json:"head"`
	Points []record.SweepPoint `json:"points"`
}

// KeepPoints keeps the finished points of a sweep.
func (u *Unfinished) KeepPoints(points []record.SweepPoint, head *SweepHead) {
	u.keep(partPoints, func() error {
		text, err := json.Marshal(keptPoints{head, points})
		if err != nil {
			return err
		}
		return atomicfile.WriteBytes(u.path("points.json"), text)
	}, nil)
}

// Experiment keeps a sweep's experiment, or compares it with what it was.
func (u *Unfinished) Experiment(o *Options) error { return u.prepare(o) }

// differences says in which fields two values differ, as JSON has them.
func differences(was, is any) []string {
	a, b := flat(was), flat(is)
	var out []string
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		x, y := a[k], b[k]
		if x == y {
			continue
		}
		for _, v := range []*string{&x, &y} {
			if *v == "" {
				*v = "absent"
			}
		}
		out = append(out, fmt.Sprintf("%s was %s, is %s", k, x, y))
	}
	const most = 12
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return out
}

// flat lists the fields of a value by their paths.
func flat(v any) map[string]string {
	out := map[string]string{}
	text, err := json.Marshal(v)
	if err != nil {
		return map[string]string{"": err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var decoded any
	if err := d.Decode(&decoded); err != nil {
		return map[string]string{"": err.Error()}
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, v := range x {
				walk(strings.TrimPrefix(path+"."+k, "."), v)
			}
		case []any:
			for i, v := range x {
				walk(fmt.Sprintf("%s[%d]", path, i), v)
			}
		case nil:
		default:
			out[path] = fmt.Sprint(x)
		}
	}
	walk("", decoded)
	return out
}
