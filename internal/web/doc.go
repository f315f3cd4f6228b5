// Package web is everything that answers HTTP: feeds from memory, pages for
// visitors and subscribers, the captured mailbox of a demonstration, the
// publish API, health and metrics.
//
// The order of a request: route (routes.go is the one table of all routes) →
// limit of the body → headers of the route's kind → check of the origin → the
// handler, which returns an error instead of writing one → one log line.
//
// Four promises hold everywhere and are held by tests over the route table:
// a GET or HEAD changes nothing; no body is read without a limit; every HTML
// answer carries the security headers; tokens of links never reach the log.
// Everything works without cookies and without JavaScript.
package web
