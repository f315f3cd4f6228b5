package source

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// skipDir names folders that hold no articles: hidden ones and the workshops
// of static site generators. Other names with an underscore (_posts) do.
func skipDir(name string) bool {
	switch name {
	case "_drafts", "_includes", "_layouts", "_site", "_data", "_sass", "_plugins", "node_modules", "vendor", "lost+found":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// articleName tells by its name whether a file may be an article. Not so:
// editors' and copiers' half-written files, section pages (_index.md), and what
// stands at the top of a repository for its developers.
func articleName(name string) bool {
	lower := strings.ToLower(name)
	var stem string
	switch ext := path.Ext(lower); ext {
	case ".md", ".markdown", ".mdown", ".mkd", ".html", ".htm", ".xhtml":
		stem = strings.TrimSuffix(lower, ext)
	default:
		return false
	}
	if stem == "" || strings.HasPrefix(stem, ".") || strings.HasPrefix(stem, "_") || strings.HasPrefix(stem, "~") || strings.HasPrefix(stem, "#") ||
		strings.HasSuffix(stem, ".tmp") || strings.HasSuffix(stem, ".part") || strings.HasSuffix(stem, ".swp") {
		return false
	}
	switch stem {
	case "readme", "license", "licence", "license-mit", "license-apache", "contributing", "changelog", "code_of_conduct", "security", "404":
		return false
	}
	return true
}

// fingerprint of a stored file: settings, size, time, content, and the path,
// which is not the identity of an article that has an id of its own.
func fingerprint(st fileStamp, sum, p string) string {
	return fmt.Sprintf("%s:%d:%d:%s:%s", st.reading, st.size, st.mtime, sum, p)
}

func parseFingerprint(k news.Known) (knownFile, bool) {
	parts := strings.SplitN(k.Fingerprint, ":", 5)
	if len(parts) != 5 {
		return knownFile{}, false
	}
	size, err1 := strconv.ParseInt(parts[1], 10, 64)
	mtime, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil {
		return knownFile{}, false
	}
	return knownFile{Known: k, stamp: fileStamp{reading: parts[0], size: size, mtime: mtime}, sum: parts[3], path: parts[4]}, true
}
