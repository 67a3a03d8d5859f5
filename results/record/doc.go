// Package record is the typed, versioned record of one comparison: the file result.json in a run's folder. The
// judge and the timer fill it in, the reports read it, and nothing that they show is computed anywhere else.
//
// Absent differs from zero: what was not measured is a nil pointer or an empty slice and does not appear in the
// JSON. Raw samples are kept, so that another statistic can be computed later. Every field that holds a quantity
// names its unit.
//
// # Versions
//
// [Schema] names the layout. A field may be added without a new version; a field is never renamed, moved or given
// another meaning without one. Read refuses a record of a version it does not know.
package record
