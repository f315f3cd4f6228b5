package templates

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"text/template/parse"
)

// Limits of one rendering. A digest of 1,000 articles takes about 40,000 steps
// and is kept below 97 KB by its editor; the limits only stop what has gone wrong.
const (
	maxSteps     = 1_000_000 // turns of loops plus uses of templates: about a second
	maxMailBytes = 1 << 20
	maxPageBytes = 16 << 20 // a feed index of 50,000 tags
)

// ErrTooLarge says that a rendering wrote more than is allowed: 1 MB for each
// part of a mail, 16 MB for a page.
var ErrTooLarge = errors.New("writes more than is allowed")

var errSteps = errors.New("does more than a million steps: a loop or a template that uses itself does not end")

// partKind chooses the escaping.
type partKind bool

const (
	htmlPart partKind = true
	textPart partKind = false
)

// part is one file of a program.
type part struct{ name, text string }

// program is a compiled template that can be run by many at once, each run
// limited in steps and bytes.
//
// text/template cannot be stopped from outside, so it stops itself: every loop
// and every template has a step counted at its start. The count belongs to an
// instance, and instances are kept in a pool, because the functions of a
// template cannot be changed once it has run.
type program struct {
	kind     partKind
	parts    []part
	words    *words
	maxBytes int
	pool     sync.Pool
}

type executor interface {
	Execute(w io.Writer, view any) error
}

type instance struct {
	template executor
	steps    int
}

// step is called by the nodes that count adds.
func (i *instance) step() (string, error) {
	i.steps++
	if i.steps > maxSteps {
		return "", errSteps
	}
	return "", nil
}

// newProgram compiles parts; the first is the one that is executed. Mistakes
// in a template's syntax, unknown functions and HTML that cannot be escaped
// safely are found here.
func newProgram(kind partKind, w *words, maxBytes int, parts []part) (*program, error) {
	p := &program{kind: kind, parts: parts, words: w, maxBytes: maxBytes}
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
	i := &instance{}
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
	for _, t := range first.Templates() {
		if err := guard(t.Tree); err != nil {
			return err
		}
	}
	i.template = first
	return nil
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
	for _, t := range first.Templates() {
		if err := guard(t.Tree); err != nil {
			return err
		}
	}
	i.template = first
	return nil
}

// run executes the program with view.
func (p *program) run(view any) (string, error) {
	i, ok := p.pool.Get().(*instance)
	if !ok {
		var err error
		if i, err = p.compile(); err != nil {
			return "", err
		}
	}
	i.steps = 0
	out := limitedBuilder{left: p.maxBytes}
	err := i.template.Execute(&out, view)
	p.pool.Put(i)
	switch {
	case errors.Is(err, errSteps):
		return "", fmt.Errorf("%s: %w", p.parts[len(p.parts)-1].name, errSteps)
	case errors.Is(err, ErrTooLarge):
		return "", fmt.Errorf("%s: %w (%d bytes)", p.parts[len(p.parts)-1].name, ErrTooLarge, p.maxBytes)
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

// guard walks a parsed template: it refuses functions that are not on our
// list, builtins included, and adds the counting of steps.
func guard(tree *parse.Tree) error {
	if tree == nil || tree.Root == nil {
		return nil
	}
	if err := guardList(tree, tree.Root); err != nil {
		return err
	}
	count(tree.Root)
	return nil
}

func guardList(tree *parse.Tree, list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		if err := guardNode(tree, n); err != nil {
			return err
		}
	}
	return nil
}

func guardNode(tree *parse.Tree, n parse.Node) error {
	switch n := n.(type) {
	case *parse.ActionNode:
		return guardPipe(tree, n.Pipe)
	case *parse.TemplateNode:
		return guardPipe(tree, n.Pipe)
	case *parse.IfNode:
		return guardBranch(tree, &n.BranchNode)
	case *parse.WithNode:
		return guardBranch(tree, &n.BranchNode)
	case *parse.RangeNode:
		if err := guardBranch(tree, &n.BranchNode); err != nil {
			return err
		}
		count(n.List)
	}
	return nil
}

func guardBranch(tree *parse.Tree, b *parse.BranchNode) error {
	return errors.Join(guardPipe(tree, b.Pipe), guardList(tree, b.List), guardList(tree, b.ElseList))
}

func guardPipe(tree *parse.Tree, pipe *parse.PipeNode) error {
	if pipe == nil {
		return nil
	}
	for _, cmd := range pipe.Cmds {
		for _, arg := range cmd.Args {
			if err := guardArg(tree, arg); err != nil {
				return err
			}
		}
	}
	return nil
}

func guardArg(tree *parse.Tree, arg parse.Node) error {
	switch arg := arg.(type) {
	case *parse.PipeNode:
		return guardPipe(tree, arg)
	case *parse.ChainNode:
		return guardArg(tree, arg.Node)
	case *parse.IdentifierNode:
		if !allowed(arg.Ident) {
			at, _ := tree.ErrorContext(arg)
			return fmt.Errorf("%s: function %q is not available in templates", at, arg.Ident)
		}
	}
	return nil
}

// count puts {{$step := step}} before a list. It is an assignment because
// html/template neither escapes nor prints those, in whatever context.
func count(list *parse.ListNode) {
	trees, err := parse.Parse("step", "{{$step := "+stepName+"}}", "", "", map[string]any{stepName: 0})
	if err != nil { // the text is a constant
		panic(err)
	}
	list.Nodes = slices.Insert(list.Nodes, 0, trees["step"].Root.Nodes[0])
}
