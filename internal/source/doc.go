// Package source watches the places where articles are published and keeps
// the store equal to what it saw there.
//
// The order of its work: the Watcher claims a source that is due; the file
// named after its kind (wordpress.go, folder.go) looks at it and compares what
// is there with what the store knows; what is new or changed goes through the
// Cleaner (sanitize.go) and into the store in batches; what has verifiably gone
// is withdrawn; the look is closed with the time of the next one. Push takes
// articles that a publisher's own system sends and stores them the same way.
//
// Two rules keep readers safe from a source's bad day. An odd answer (an error
// page, an empty list, an unmounted folder, a sudden loss of many articles) is
// a failure of the look and changes nothing. And nothing that a source says is
// trusted: every fetch goes through one Client that refuses inner addresses
// and bounds bytes and time, all HTML is reduced to an allow-list, and all
// text is made valid.
package source
