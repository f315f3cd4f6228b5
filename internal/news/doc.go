// Package news holds the words of the product as types: what a Source, an
// Article, a List, an Edition and a Delivery are, which states they may be in,
// and which changes between those states are allowed.
//
// Every stage (watching, releasing, feeds, digests, delivery) speaks in these
// types and in nothing else; none of them is repeated elsewhere. The package
// imports nothing of ours, so that it can be read first and alone. Beyond the
// standard library it uses only golang.org/x/net/idna and golang.org/x/text,
// because the identity of an address (A-labels) and of a tag (Unicode
// normal form, case folding) is defined by those tables.
//
// Instants are time.Time in UTC with millisecond precision: what both
// databases keep. A zero time.Time means "not set".
package news
