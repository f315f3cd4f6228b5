package templates

import (
	"context"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	"sync"
	texttemplate "text/template"
	"text/template/parse"
)

// limits bound one rendering. A digest of 1,000 articles takes about 40,000
// steps and is kept below 97 KB by its editor; the limits only stop what has
// gone wrong.
type limits struct {
	steps int // turns of loops plus uses of templates
	depth int // templates within templates, such as a tree of categories
	bytes int
}

// mailLimits are those of each part of a mail; a million steps take about a second.
func mailLimits() limits { return limits{steps: 1_000_000, depth: 100, bytes: 1 << 20} }

// pageLimits leave room for a feed index of 50,000 tags.
func pageLimits() limits { return limits{steps: 1_000_000, depth: 100, bytes: 16 << 20} }

// ErrTooLarge says that a rendering wrote more than is allowed: 1 MB for each
// part of a mail, 16 MB for a page.
var ErrTooLarge = errors.New("writes more than is allowed")

var (
	errSteps = errors.New("does more steps than are allowed: a loop in it does not end")
	errDepth = errors.New("goes deeper than is allowed: a template in it uses itself without end")
)

// partKind chooses the escaping.
type partKind bool

const (
	htmlPart partKind = true
	textPart partKind = false
)

// part is one file of a program.
type part struct{ name, text string }

// program is a compiled template that can be run by many at once, each run
// limited in steps, bytes and, by its context, in time.
//
// text/template cannot be stopped from outside, so it stops itself: every loop
// and every template has a step counted at its start. The count belongs to an
// instance, and instances are kept in a pool, because the functions of a
// template cannot be changed once it has run.
type program struct {
	kind   partKind
	parts  []part
	words  *words
	limits limits
	pool   sync.Pool
}

type executor interface {
	Execute(w io.Writer, view any) error
}

type instance struct {
	template executor
	left     limits
	ctx      context.Context // of the run
}

// lookEvery is how many steps are made between two looks at the context.
const lookEvery = 1024

// step, enter and leave are called by the nodes that guard adds: in every turn
// of a loop, at the start and at the end of every template.
func (i *instance) step() (string, error) {
	i.left.steps--
	if i.left.steps < 0 {
		return "", errSteps
	}
	if i.left.steps%lookEvery == 0 {
		return "", i.ctx.Err()
	}
	return "", nil
}

func (i *instance) enter() (string, error) {
	i.left.depth--
	if i.left.depth < 0 {
		return "", errDepth
	}
	return i.step()
}

func (i *instance) leave() string {
	i.left.depth++
	return ""
}

// newProgram compiles parts; the first is the one that is executed. Mistakes
// in a template's syntax, unknown functions and HTML that cannot be escaped
// safely are found here.
func newProgram(kind partKind, w *words, l limits, parts []part) (*program, error) {
	p := &program{kind: kind, parts: parts, words: w, limits: l}
	i, err := p.compile()
	if err != nil {
		return nil, err
	}
	// html/template looks at the contexts of a template at its first execution.
	var unsafe *htmltemplate.Error
	if err := i.template.Execute(io.Discard, nil); errors.As(err, &unsafe) {
		return nil, fault(err)
	}
	p.pool.Put(i)
	return p, nil
}

func (p *program) compile() (*instance, error) {
	i := &instance{left: p.limits, ctx: context.Background()}
	if p.kind == htmlPart {
		return i, p.compileHTML(i)
	}
	return i, p.compileText(i)
}

func (p *program) compileHTML(i *instance) error {
	first := htmltemplate.New(p.parts[0].name).Funcs(htmltemplate.FuncMap(functions(p.words, i)))
	for n, part := range p.parts {
		t := first
		if n > 0 {
			t = first.New(part.name)
		}
		if _, err := t.Parse(part.text); err != nil {
			return fault(err)
		}
	}
	var trees []*parse.Tree
	for _, t := range first.Templates() {
		trees = append(trees, t.Tree)
	}
	i.template = first
	return guard(trees)
}

func (p *program) compileText(i *instance) error {
	first := texttemplate.New(p.parts[0].name).Funcs(texttemplate.FuncMap(functions(p.words, i)))
	for n, part := range p.parts {
		t := first
		if n > 0 {
			t = first.New(part.name)
		}
		if _, err := t.Parse(part.text); err != nil {
			return fault(err)
		}
	}
	var trees []*parse.Tree
	for _, t := range first.Templates() {
		trees = append(trees, t.Tree)
	}
	i.template = first
	return guard(trees)
}

// run executes the program with view until it ends or ctx does.
func (p *program) run(ctx context.Context, view any) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i, ok := p.pool.Get().(*instance)
	if !ok {
		var err error
		if i, err = p.compile(); err != nil {
			return "", err
		}
	}
	i.left, i.ctx = p.limits, ctx
	out := limitedBuilder{left: p.limits.bytes}
	err := i.template.Execute(&out, view)
	i.ctx = context.Background()
	p.pool.Put(i)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", p.parts[len(p.parts)-1].name, ctx.Err())
	case errors.Is(err, errSteps):
		return "", fmt.Errorf("%s: %w", p.parts[len(p.parts)-1].name, errSteps)
	case errors.Is(err, errDepth):
		return "", fmt.Errorf("%s: %w", p.parts[len(p.parts)-1].name, errDepth)
	case errors.Is(err, ErrTooLarge):
		return "", fmt.Errorf("%s: %w (%d bytes)", p.parts[len(p.parts)-1].name, ErrTooLarge, p.limits.bytes)
	case err != nil:
		return "", fault(err)
	}
	return out.String(), nil
}

type limitedBuilder struct {
	strings.Builder
	left int
}

// Write fails once the limit is passed, which ends the execution.
func (b *limitedBuilder) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return 0, ErrTooLarge
	}
	b.left -= len(p)
	return b.Builder.Write(p)
}

// fault makes "mail/default.html:12: …" of what the standard library says.
func fault(err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "html/template:"), "template: ")
	return errors.New(strings.TrimSpace(text))
}
