// Package report shows a record to people: [Terminal] as about thirty lines of text, [Markdown] as report.md with its
// charts beside it, [HTML] as one page that holds everything, of several records too, [HistoryTerminal] and [HistoryChart] as the course
// of many runs over time.
//
// It computes nothing: every number comes from the record, at most inverted ("6.1 times slower" is the speed-up 0.16) or
// drawn. It judges nothing either. Its one rule of its own is that speed is never shown without the verdict beside it:
// when the verdict is not PASS it shows no speed-up at all, only why none is claimed.
package report
