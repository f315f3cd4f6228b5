package daemon

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// WriteConfig writes cfg as a commented file: every key with its explanation.
func WriteConfig(w io.Writer, cfg Config) error {
	var b strings.Builder
	b.WriteString("# gazetted.toml: the infrastructure. Sources, lists and subscribers are data: see `gazetted help`.\n")
	b.WriteString("# Every key can be given in the environment instead, as GAZETTED_<SECTION>_<KEY>.\n")
	keys := structKeys(reflect.ValueOf(&cfg).Elem(), "")
	// TOML has no way back to the top level: what belongs there comes first.
	for _, k := range keys {
		if !k.section && !strings.Contains(k.key, ".") {
			writeKey(&b, k, k.key)
		}
	}
	for _, k := range keys {
		switch {
		case k.section && k.field.Kind() == reflect.Struct:
			fmt.Fprintf(&b, "\n# %s\n[%s]\n", k.doc, k.key)
		case k.section: // below
		case strings.Contains(k.key, "."):
			_, name, _ := strings.Cut(k.key, ".")
			writeKey(&b, k, name)
		}
		for _, s := range cfg.sections() {
			if s.key == k.key {
				writeSections(&b, k, s)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeSections writes the tables of a kind, or one that is commented out.
func writeSections(b *strings.Builder, k configKey, s section) {
	fmt.Fprintf(b, "\n# %s\n", k.doc)
	if s.count == 0 {
		fmt.Fprintf(b, "#[[%s]]\n", s.key)
		for _, k := range structKeys(s.blank, "") {
			value := quote(k.field)
			if k.example != "" {
				value = exampleOf(k)
			}
			fmt.Fprintf(b, "#%s = %s  # %s\n", k.key, value, k.doc)
		}
	}
	for i := range s.count {
		fmt.Fprintf(b, "[[%s]]\n", s.key)
		for _, k := range structKeys(s.at(i), "") {
			writeKey(b, k, k.key)
		}
	}
}

func writeKey(b *strings.Builder, k configKey, name string) {
	fmt.Fprintf(b, "\n# %s\n", k.doc)
	if k.field.IsZero() && k.example != "" {
		fmt.Fprintf(b, "#%s = %s\n", name, exampleOf(k))
		return
	}
	fmt.Fprintf(b, "%s = %s\n", name, quote(k.field))
}

// exampleOf renders the example of a key.
func exampleOf(k configKey) string {
	if k.field.Kind() == reflect.Slice {
		return "[" + strconv.Quote(k.example) + "]"
	}
	return strconv.Quote(k.example)
}

// quote renders a value as TOML.
func quote(f reflect.Value) string {
	switch v := f.Interface().(type) {
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case news.Duration:
		return strconv.Quote(v.String())
	case []string:
		items := make([]string, len(v))
		for i, s := range v {
			items[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// ConfigReference writes the keys as a Markdown page.
func ConfigReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from the code by `make generate`.\n\n`gazetted init` writes a commented `gazetted.toml`. " +
		"Every key can be given in the environment instead; a list is separated by commas. Relative paths start at the file's folder.\n\n" +
		"| key | environment | default | meaning |\n|---|---|---|---|\n")
	row := func(k configKey, key, env string) {
		def := "`" + quote(k.field) + "`"
		if k.field.IsZero() && k.field.Kind() != reflect.Int && k.field.Kind() != reflect.Bool && k.field.Kind() != reflect.Float64 {
			def = "(empty)"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", key, env, def, strings.ReplaceAll(k.doc, "|", "\\|"))
	}
	cfg := DefaultConfig()
	for _, k := range configKeys(cfg) {
		row(k, k.key, envName(k.key))
	}
	for _, s := range cfg.sections() {
		for _, k := range structKeys(s.blank, "") {
			row(k, s.key+"[]."+k.key, envName(numbered(s.key, 0)+"."+k.key))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
