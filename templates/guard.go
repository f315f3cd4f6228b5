package templates

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
)

// guard walks the parsed templates of a program before they can run. It
// refuses functions that are not on our list, builtins included, and puts the
// counting of steps into every loop and every template.
func guard(trees []*parse.Tree) error {
	trees = slices.DeleteFunc(trees, func(t *parse.Tree) bool { return t == nil || t.Root == nil })
	slices.SortFunc(trees, func(a, b *parse.Tree) int { return cmp.Compare(a.Name, b.Name) })
	g := &guardian{}
	for _, t := range trees {
		g.tree = t
		g.list(t.Root)
		t.Root.Nodes = append(slices.Insert(t.Root.Nodes, 0, call(enterName)), call(leaveName))
	}
	return errors.Join(g.faults...)
}

type guardian struct {
	tree   *parse.Tree
	faults []error
}

func (g *guardian) list(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			g.pipe(n.Pipe)
		case *parse.TemplateNode:
			g.pipe(n.Pipe)
		case *parse.IfNode:
			g.branch(&n.BranchNode)
		case *parse.WithNode:
			g.branch(&n.BranchNode)
		case *parse.RangeNode:
			g.branch(&n.BranchNode)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, call(stepName))
		}
	}
}

func (g *guardian) branch(b *parse.BranchNode) {
	g.pipe(b.Pipe)
	g.list(b.List)
	g.list(b.ElseList)
}

func (g *guardian) pipe(pipe *parse.PipeNode) {
	if pipe == nil {
		return
	}
	for _, cmd := range pipe.Cmds {
		for _, arg := range cmd.Args {
			g.arg(arg)
		}
	}
}

func (g *guardian) arg(arg parse.Node) {
	switch arg := arg.(type) {
	case *parse.PipeNode:
		g.pipe(arg)
	case *parse.ChainNode:
		g.arg(arg.Node)
	case *parse.IdentifierNode:
		if !allowed(arg.Ident) {
			at, _ := g.tree.ErrorContext(arg)
			g.faults = append(g.faults, fmt.Errorf("%s: function %q is not available in templates", strings.TrimSpace(at), arg.Ident))
		}
	}
}

// call makes {{$step := NAME}}. It is an assignment because html/template
// neither escapes nor prints those, in whatever context.
func call(name string) parse.Node {
	trees, err := parse.Parse("step", "{{$step := "+name+"}}", "", "", map[string]any{name: 0})
	if err != nil { // the text is a constant
		panic(err)
	}
	return trees["step"].Root.Nodes[0]
}
