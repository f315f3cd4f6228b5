package daemon

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"gazetted/internal/news"
)

// ConfigError lists every fault of a configuration at once.
type ConfigError struct {
	Faults []ConfigFault
}

// ConfigFault is one fault and where it stands.
type ConfigFault struct {
	Where string // "gazetted.toml:12", "GAZETTED_LISTEN", or "default"
	Err   error
}

// Error lists the faults, one per line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.Where + ": " + f.Err.Error()
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d faults in the configuration:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// maxConfig bounds the file.
const maxConfig = 1 << 20

// LoadConfig reads the file (none if path is empty) and the environment over
// it, and reports all faults at once as a *ConfigError. environ is os.Environ():
// "NAME=value" each.
func LoadConfig(path string, environ []string) (Config, error) {
	env := map[string]string{}
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) && value != "" {
			env[name] = value
		}
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	cfg := DefaultConfig()
	r := &configReader{cfg: &cfg, where: map[string]string{}}
	if path != "" {
		if err := r.file(path); err != nil {
			return cfg, err
		}
	} else {
		dir, err := os.Getwd()
		if err != nil {
			return cfg, fmt.Errorf("read configuration: %w", err)
		}
		cfg.Dir = dir
	}
	r.environment(lookup)
	r.unknownEnvironment(env)
	for _, fault := range cfg.check() {
		where := r.where[fault.Field]
		if where == "" {
			where = r.name
		}
		if where == "" {
			where = "configuration"
		}
		r.faults = append(r.faults, ConfigFault{Where: where, Err: fault})
	}
	if len(r.faults) > 0 {
		return cfg, &ConfigError{Faults: r.faults}
	}
	return cfg, nil
}

type configReader struct {
	cfg    *Config
	name   string            // of the file
	where  map[string]string // key → place that set it
	faults []ConfigFault
}

func (r *configReader) file(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxConfig {
		return fmt.Errorf("read configuration: %s is larger than %d bytes", path, maxConfig)
	}
	data, err := os.ReadFile(abs)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	r.cfg.Dir, r.name = filepath.Dir(abs), filepath.Base(abs)
	// A first pass for faults of the syntax itself, with the library's words.
	var any map[string]any
	if err := toml.Unmarshal(data, &any); err != nil {
		where := r.name
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			where = fmt.Sprintf("%s:%d", r.name, line)
		}
		return &ConfigError{Faults: []ConfigFault{{Where: where, Err: errors.New(strings.TrimPrefix(err.Error(), "toml: "))}}}
	}
	r.parse(data)
	return nil
}

// parse walks the expressions of the file and sets what they say, gathering
// faults with their lines.
func (r *configReader) parse(data []byte) {
	var p unstable.Parser
	p.Reset(data)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = keyOf(e.Key())
		case unstable.ArrayTable:
			table = keyOf(e.Key())
			for _, s := range r.cfg.sections() {
				if s.key == table {
					s.grow(s.count + 1)
					table = numbered(s.key, s.count)
				}
			}
		case unstable.KeyValue:
			r.value(&p, join(table, keyOf(e.Key())), e)
		default:
		}
	}
}

func (r *configReader) value(p *unstable.Parser, key string, e *unstable.Node) {
	where := r.name
	if it := e.Key(); it.Next() {
		where = fmt.Sprintf("%s:%d", r.name, p.Shape(it.Node().Raw).Start.Line)
	}
	v := e.Value()
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			r.value(p, join(key, keyOf(it.Node().Key())), it.Node())
		}
	case unstable.Array:
		var items []string
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.String {
				r.fault(where, &news.FieldError{Field: key, Value: string(it.Node().Data), Want: "a list of texts in quotes"})
				return
			}
			items = append(items, string(it.Node().Data))
		}
		r.set(where, key, "", items)
	default:
		r.set(where, key, string(v.Data), nil)
	}
}

// keyOf joins the parts of a dotted key.
func keyOf(it unstable.Iterator) string {
	var parts []string
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, ".")
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// numbered is the key of one of several sections of a kind, counted from 1.
func numbered(section string, i int) string { return fmt.Sprintf("%s.%d", section, i+1) }

// section is a table that may stand several times, such as [[mail.relay]].
type section struct {
	key   string
	count int
	blank reflect.Value             // what holds where the file is silent
	at    func(i int) reflect.Value // one of them, to be set
	grow  func(count int)           // adds blank ones
}

// sections are all tables that may stand several times.
func (c *Config) sections() []section {
	return []section{sectionOf("mail.relay", &c.Mail.Relays, defaultRelay()), sectionOf("mail.dkim", &c.Mail.DKIM, DKIMConfig{})}
}

func sectionOf[T any](key string, list *[]T, blank T) section {
	return section{
		key: key, count: len(*list), blank: reflect.ValueOf(&blank).Elem(),
		at: func(i int) reflect.Value { return reflect.ValueOf(&(*list)[i]).Elem() },
		grow: func(count int) {
			for len(*list) < count {
				*list = append(*list, blank)
			}
		},
	}
}

func (r *configReader) fault(where string, err error) {
	r.faults = append(r.faults, ConfigFault{Where: where, Err: err})
}

// maxSections bounds how many sections of a kind the environment can make.
const maxSections = 32

// environment sets keys from GAZETTED_<SECTION>_<KEY>; sections that may stand
// several times are numbered: GAZETTED_MAIL_RELAY_1_HOST. An empty variable sets
// nothing, because service managers pass on variables that nobody has filled in.
func (r *configReader) environment(lookup func(string) (string, bool)) {
	for _, k := range configKeys(*r.cfg) {
		if v, ok := lookup(envName(k.key)); ok && v != "" {
			r.fromEnv(k.key, v, k.field.Kind() == reflect.Slice)
		}
	}
	for _, s := range r.cfg.sections() {
		for i := range maxSections {
			for _, k := range structKeys(s.blank, numbered(s.key, i)) {
				if v, ok := lookup(envName(k.key)); ok && v != "" {
					s.grow(i + 1)
					r.fromEnv(k.key, v, k.field.Kind() == reflect.Slice)
				}
			}
		}
	}
}

// envPrefix begins every variable of ours.
const envPrefix = "GAZETTED_"

// unknownEnvironment reports variables that look like keys and are none.
func (r *configReader) unknownEnvironment(env map[string]string) {
	known := []string{}
	for _, k := range r.allKeys() {
		known = append(known, envName(k.key))
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		ours := name == "GAZETTED_CONFIG" || strings.HasPrefix(name, "GAZETTED_TEST_") || strings.HasPrefix(name, "GAZETTED_BENCH_")
		if !ours && !slices.Contains(known, name) {
			r.fault(name, fmt.Errorf("unknown variable%s", nearest(name, known)))
		}
	}
}

func (r *configReader) fromEnv(key, v string, list bool) {
	var items []string
	if list {
		items = strings.FieldsFunc(v, func(c rune) bool { return c == ',' || c == ' ' })
	}
	r.set(envName(key), key, v, items)
}

// envName is the variable that sets key.
func envName(key string) string {
	return "GAZETTED_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// allKeys lists the keys that there are, those of repeated sections included.
func (r *configReader) allKeys() []configKey {
	keys := structKeys(reflect.ValueOf(r.cfg).Elem(), "")
	for _, s := range r.cfg.sections() {
		for i := range s.count {
			keys = append(keys, structKeys(s.at(i), numbered(s.key, i))...)
		}
	}
	return keys
}

// set puts a value into the field of key.
func (r *configReader) set(where, key, text string, items []string) {
	keys := r.allKeys()
	i := slices.IndexFunc(keys, func(k configKey) bool { return k.key == key })
	if i < 0 {
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.key
		}
		r.fault(where, fmt.Errorf("unknown key %q%s", key, nearest(key, names)))
		return
	}
	r.where[key] = where
	if err := setField(keys[i].field, key, text, items); err != nil {
		r.fault(where, err)
	}
}

func setField(f reflect.Value, key, text string, items []string) error {
	switch p := f.Addr().Interface().(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return &news.FieldError{Field: key, Value: text, Want: "a whole number"}
		}
		*p = n
	case *float64:
		n, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return &news.FieldError{Field: key, Value: text, Want: "a number, such as 14 or 0.5"}
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return &news.FieldError{Field: key, Value: text, Want: "true or false"}
		}
		*p = b
	case *news.Duration:
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return &news.FieldError{Field: key, Value: text, Want: "a number with a unit, such as 90s or 5m"}
		}
	case *[]string:
		if items == nil && text != "" {
			return &news.FieldError{Field: key, Value: text, Want: `a list such as ["10.0.0.0/8"]`}
		}
		*p = items
	}
	return nil
}

// configKey is one key of the file and the field that it sets.
type configKey struct {
	key, doc, example string
	field             reflect.Value
	section           bool // a table: its keys follow
}

// configKeys lists the keys of cfg in the order of the file.
func configKeys(cfg Config) []configKey {
	return slices.DeleteFunc(structKeys(reflect.ValueOf(&cfg).Elem(), ""), func(k configKey) bool { return k.section })
}

func structKeys(v reflect.Value, prefix string) []configKey {
	var out []configKey
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("toml")
		if name == "-" || name == "" {
			continue
		}
		k := configKey{key: join(prefix, name), doc: f.Tag.Get("doc"), example: f.Tag.Get("example"), field: v.Field(i)}
		isTable := f.Type.Kind() == reflect.Struct
		isTables := f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct
		k.section = isTable || isTables
		if isTable {
			out = append(out, k)
			out = append(out, structKeys(v.Field(i), k.key)...)
			continue
		}
		out = append(out, k)
	}
	return out
}

func numberFault(key string, v, lo, hi int) *news.FieldError {
	return &news.FieldError{Field: key, Value: strconv.Itoa(v), Want: fmt.Sprintf("a number from %d to %d", lo, hi)}
}

// nearest suggests the known key that is most like key.
func nearest(key string, known []string) string {
	best, at := 3, ""
	for _, k := range known {
		if d := distance(key, k); d < best {
			best, at = d, k
		}
	}
	if at == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", at)
}

// distance is the number of letters to change, add or drop (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost++
			}
			prev = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
