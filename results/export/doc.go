// Package export writes a record in the formats of other tools: [JUnit] for the tables of tests of a CI system, [CSV] for spreadsheets and
// data frames, [Benchstat] for Go's benchstat, [Badge] for a README. Event files for TensorBoard are package results/tensorboard's.
//
// It computes nothing and judges nothing: every number comes from the record. Times are written after a PASS alone, as everywhere in
// tandem; without one [Benchstat] refuses, [CSV] leaves them out, and [Badge] shows the verdict.
package export
