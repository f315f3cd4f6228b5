package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gazetted/daemon"
)

func (a *app) docsCommand() *cobra.Command {
	dir := "docs/reference"
	c := &cobra.Command{
		Use: "docs [--dir DIR]", Short: "Write the reference of commands and configuration as Markdown", Args: cobra.NoArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			var config, commands bytes.Buffer
			if err := daemon.ConfigReference(&config); err != nil {
				return err
			}
			commands.WriteString("# Commands\n\nGenerated from the code by `make generate`.\n")
			describe(&commands, c.Root())
			for name, b := range map[string]*bytes.Buffer{"configuration.md": &config, "commands.md": &commands} {
				if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
					return fmt.Errorf("write reference: %w", err)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", dir, "where to write")
	return c
}

// describe writes a command and those below it.
func describe(b *bytes.Buffer, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
		return
	}
	level := "##"
	if c.HasParent() && c.Parent().HasParent() {
		level = "###"
	}
	fmt.Fprintf(b, "\n%s %s\n\n%s\n", level, c.CommandPath(), firstOf(c.Long, c.Short))
	if c.Runnable() && !c.HasSubCommands() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.UseLine())
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", strings.TrimRight(c.Example, "\n"))
	}
	var flags []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name, usage := pflag.UnquoteUsage(f)
		flag := "--" + f.Name
		if name != "" {
			flag += " " + name
		}
		line := fmt.Sprintf("| `%s` | %s |", flag, strings.ReplaceAll(usage, "|", "\\|"))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			line = strings.TrimSuffix(line, " |") + fmt.Sprintf(" (default `%s`) |", f.DefValue)
		}
		flags = append(flags, line)
	})
	if len(flags) > 0 {
		fmt.Fprintf(b, "\n| flag | meaning |\n|---|---|\n%s\n", strings.Join(flags, "\n"))
	}
	for _, sub := range c.Commands() {
		describe(b, sub)
	}
}
