package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

// readSecret reads the key or password of src. It never comes from the command
// line, where every user of the machine could read it.
func readSecret(src *news.Source, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read secret: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimRight(line, "\r \t")
	if src.Kind == news.SourceGhost && (len(line) < 20 || strings.Trim(line, "0123456789abcdef") != "") {
		return &news.FieldError{Field: file, Want: "a Content API key in its first line: hexadecimal digits, without a colon (an Admin API key is another one)"}
	}
	if line == "" {
		return errors.New("read secret: the first line of " + file + " is empty")
	}
	src.Secret = news.Hide(line)
	return nil
}

func (a *app) sourceSecret() *cobra.Command {
	file := ""
	c := &cobra.Command{
		Use: "secret NAME --file FILE", Short: "Give a source another key or password", Args: cobra.ExactArgs(1),
		Long: `Replaces the key or password that a source is read with by the first line of a
file. It is kept in the database and never shown.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				src, err := s.SourceByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				if src.Kind != news.SourceGhost && src.Kind != news.SourcePostgres {
					return &news.FieldError{Field: "NAME", Value: src.Name, Want: "a source of a kind that has a secret: ghost, postgres"}
				}
				if err := readSecret(&src, file); err != nil {
					return err
				}
				return s.SetSourceSecret(c.Context(), src.Name, src.Secret)
			})
		},
	}
	c.Flags().StringVar(&file, "file", "", "`FILE` whose first line it is")
	_ = c.MarkFlagRequired("file") // fails only for a flag that does not exist
	return c
}
