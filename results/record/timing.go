package record

// Timing is the speed, measured after parity was judged. Without a PASS it is kept but no speed-up is claimed.
type Timing struct {
	Blocks     int `json:"blocks"`      // interleaved blocks of each contender
	BlockSteps int `json:"block_steps"` // steps in a block
	// OrderSeed draws the order of the contenders in each round.
	OrderSeed uint64       `json:"order_seed,omitempty"`
	Reference EngineTiming `json:"reference"` // the best of the reference's modes
	Candidate EngineTiming `json:"candidate"`
	// Modes are all of the reference's modes that were measured with that number of threads, the best among them.
	Modes   []EngineTiming `json:"modes"`
	Speedup *Speedup       `json:"speedup,omitempty"` // nil when none may be claimed: see Claim
	// Measured is the same ratio whatever the verdict, for whoever looks for the cause of a FAIL.
	Measured Speedup `json:"measured_ratio"`
	// Resolution is the reference against itself in the same session: no speed-up smaller than it is claimed.
	Resolution Speedup `json:"resolution"`
	// ResolutionMode is the reference's mode that the resolution was measured in.
	ResolutionMode string `json:"resolution_mode,omitempty"`
	// Claim says in words what may be said about the speed.
	Claim string `json:"claim"`
	// Others are both engines with other numbers of threads than in the main comparison, timed in the same rounds.
	Others []EngineTiming `json:"others,omitempty"`
	// Comparisons are of contenders with such numbers of threads.
	Comparisons []Comparison `json:"comparisons,omitempty"`
	// LeftOut are the reference's modes that could not be timed.
	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// Comparison is a pair of contenders beside the main one.
type Comparison struct {
	Kind      ComparisonKind `json:"kind"`
	Reference Setup          `json:"reference"`
	Candidate Setup          `json:"candidate"`
	Measured  Speedup        `json:"measured_ratio"`
	Speedup   *Speedup       `json:"speedup,omitempty"` // as in Timing
	Claim     string         `json:"claim"`
}

// ComparisonKind says what a comparison is for.
type ComparisonKind string

// The kinds of a comparison.
const (
	LikeForLike ComparisonKind = "like-for-like" // as many threads on each side
	AtItsBest   ComparisonKind = "at-its-best"   // the reference with whatever number of threads it is fastest with
)

// Setup is how a contender ran: one of the timing's Modes or Others, its Candidate or its Reference.
type Setup struct {
	Mode    string `json:"mode,omitempty"`
	Threads int    `json:"threads"`
}

// LeftOut is a mode of the reference that could not be timed, and why.
type LeftOut struct {
	Mode    string `json:"mode"`
	Threads int    `json:"threads"`
	Reason  string `json:"reason"`
}

// EngineTiming is one contender's times.
type EngineTiming struct {
	Engine  string `json:"engine"`
	Mode    string `json:"mode,omitempty"`
	Threads int    `json:"threads"`
	// StepSeconds summarises the block medians: forward, backward and optimizer of one batch.
	StepSeconds Quantile `json:"step_seconds"`
	// BlockMedians are the raw samples, one a block, in seconds a step.
	BlockMedians []float64 `json:"block_medians"`
	// FirstStepSeconds is the first step after load; ColdStartSeconds is from the start of the process to its end.
	FirstStepSeconds float64 `json:"first_step_seconds"`
	ColdStartSeconds float64 `json:"cold_start_seconds"`
}

// Quantile is a median with its 95 % confidence interval.
type Quantile struct {
	Median     float64 `json:"median"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	N          int     `json:"n"`
	Confidence float64 `json:"confidence"` // actual
}

// Speedup is a ratio of times, reference over candidate, paired block by block.
type Speedup struct {
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	N      int       `json:"n"`
	Ratios []float64 `json:"ratios"` // the raw samples
}

// MemoryUse is one engine's resident memory while it trained in the timed part.
type MemoryUse struct {
	BaselineBytes int64 `json:"baseline_bytes"` // after start-up and imports
	PeakBytes     int64 `json:"peak_bytes"`
	// DataBytes is how much of the peak is the data set, where the engine keeps it in memory.
	DataBytes int64 `json:"data_bytes,omitempty"`
	// BaselineOwnBytes and PeakOwnBytes are baseline and peak without the pages of executables and libraries that the process has not written to; absent
	// where the engine does not tell. Of the moments at which it was asked, each has the peak until then less such pages as were there; this
	// is the largest, and smaller than the truth by no more than what was mapped of such pages between the peak and the next of these moments.
	BaselineOwnBytes int64 `json:"baseline_own_bytes,omitempty"`
	PeakOwnBytes     int64 `json:"peak_own_bytes,omitempty"`
	// Samples are the memory over the timed training, in the order of the steps.
	Samples []MemorySample `json:"samples,omitempty"`
}

// MemoryByTraining returns what training added to the memory of both engines. own says that the pages of executables and libraries are left
// out, which both have to tell of: else they are in both.
func (r *Run) MemoryByTraining() (added map[Role]int64, own bool) {
	added, own = map[Role]int64{}, len(r.Memory) > 0
	for _, m := range r.Memory {
		own = own && m.PeakOwnBytes > 0
	}
	for role, m := range r.Memory {
		added[role] = m.PeakBytes - m.BaselineBytes
		if own {
			added[role] = m.PeakOwnBytes - m.BaselineOwnBytes
		}
	}
	return added, own
}

// MemorySample is an engine's resident memory at a moment between two steps.
type MemorySample struct {
	Steps int   `json:"steps"` // that the process had trained
	Bytes int64 `json:"bytes"`
}
