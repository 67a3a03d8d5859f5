package main

import (
	_ "embed"
	"errors"
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// mainSource is the file whose comment is the manual, so that there is one text of it.
//
//go:embed main.go
var mainSource string

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Write the manual's pages for man",
		Long: `Write the manual as pages for the program man: tandem(1), which is printed where no DIR is named, and one for each command, from the same texts
and flags as --help. They belong into a folder man1 of man's path; the archives of a release have them in their folder man. Their date is that of
SOURCE_DATE_EPOCH, or today.`,
		Example: `  tandem man
  tandem man ~/.local/share/man/man1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("man: name one folder, or none")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			text, err := manualText()
			if err != nil {
				return err
			}
			root.Long, root.DisableAutoGenTag = text, true
			header := &doc.GenManHeader{Section: "1", Source: "tandem " + release, Manual: "tandem"}
			if len(args) == 0 {
				return doc.GenMan(root, header, a.stdout)
			}
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return inputError{fmt.Errorf("man: %w", err)}
			}
			if err := doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{Header: header, Path: args[0], CommandSeparator: "-"}); err != nil {
				return inputError{fmt.Errorf("man: %w", err)}
			}
			a.wrote("wrote tandem.1 and a page for each command to %s", args[0])
			return nil
		},
	}
}

// manualText is the comment of this package in Markdown.
func manualText() (string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "main.go", mainSource, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return "", err
	}
	var p comment.Parser
	printer := comment.Printer{HeadingLevel: 1, HeadingID: func(*comment.Heading) string { return "" }}
	return string(printer.Markdown(p.Parse(f.Doc.Text()))), nil
}
