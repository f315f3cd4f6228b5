// Package feeds turns articles into documents that feed readers understand:
// RSS 2.0, Atom 1.0 (RFC 4287), JSON Feed 1.1 and OPML 2.0.
//
// It is pure: no files, no network, no database, no clock, no randomness. The
// same Channel and articles always give the same bytes, so that a hash of them
// is a validator that survives restarts, rebuilds and replicas.
//
// The order of its work:
//
//  1. check: a Channel without identity or links is refused;
//  2. entries: every article is made fit for all formats at once: text that XML
//     can carry, URLs absolute and encoded, hidden bodies dropped;
//  3. library: gorilla/feeds builds and dates its own structs from the entries;
//  4. one document type per format embeds those structs and adds or shadows
//     what the library lacks (several categories and authors, self and hub
//     links, media, languages);
//  5. write.
//
// # Times
//
// A feed's updated (lastBuildDate) is the newest news.Article.LastChanged of
// its items; an article without a publication date counts by its FirstSeenAt. A feed without any date has none to give: RSS leaves
// lastBuildDate out, and Atom, where updated is required, says
// 1970-01-01T00:00:00Z. Times are UTC in whole seconds; a year that RFC 822 or
// RFC 3339 cannot write counts as not set.
//
// # Hidden articles
//
// An article whose Visibility is not public (also: not set) is fed with title,
// link, summary, dates, authors and terms. Its body, image and enclosure stay
// away whatever Channel.FullContent says.
//
// # The _gazetted extension of JSON Feed
//
// JSON Feed 1.1 has one flat list of tags, no rights, no image description and
// no related articles. The feed may carry
//
//	"_gazetted": {"rights": "© The Example Gazette"}
//
// and each item
//
//	"_gazetted": {
//	  "visibility": "members",             // only where it is not public
//	  "categories": [{"slug": "us", "name": "US", "scheme": "https://…"}],
//	  "tags":       [{"slug": "mexico", "name": "Mexico", "scheme": "https://…"}],
//	  "image":      {"url": "https://…", "alt": "…", "mime_type": "image/jpeg", "width": 1200, "height": 800},
//	  "comments_url": "https://…",
//	  "source":     {"title": "…", "url": "https://…"},
//	  "related":    [{"id": "…", "url": "https://…", "title": "…", "date_published": "…",
//	                  "image": "https://…", "authors": ["…"], "categories": ["…"]}]
//	}
//
// where every member is left out if it has nothing to say.
package feeds
