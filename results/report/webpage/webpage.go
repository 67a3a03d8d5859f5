// Package webpage has the parts of the report's HTML page that are not Go: its templates, its style and its script.
package webpage

import "embed"

// Files are page.gohtml, the whole page, parts.gohtml, what it is made of, and report.css and report.js, which stand in it.
//
//go:embed *.gohtml *.css *.js
var Files embed.FS
