package digest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gazetted/internal/news"
)

// slug is the edition's address in the public archive: its date, the
// frequency unless that is the list's first, and for instant mail the Seq. A
// private list has no archive. Where each subscriber has their own zone, one
// edition goes out many times a day; the first of them stands for all.
func (e *Editor) slug(ctx context.Context, d *draft) (string, error) {
	if !d.list.Public {
		return "", nil
	}
	zone := d.zone
	personal := d.list.Zone == news.ZoneSubscriber
	if personal && d.edition.Frequency == news.Instant {
		zone = time.UTC // the zones' editions of one moment need one date
	}
	slug := d.edition.DueAt.In(zone).Format(time.DateOnly)
	if d.edition.Frequency == news.Instant {
		slug += "-" + strconv.FormatInt(d.edition.CutoffSeq, 10)
	} else if len(d.list.Frequencies) > 0 && d.list.Frequencies[0].Name != d.edition.Frequency {
		slug += "-" + d.edition.Frequency
	}
	if !personal {
		return slug, nil
	}
	other, err := e.o.Store.ArchiveEdition(ctx, d.list.ID, slug)
	switch {
	case errors.Is(err, news.ErrNotFound):
		return slug, nil
	case err != nil:
		return "", fmt.Errorf("look for edition %s: %w", slug, err)
	case other.Frequency == d.edition.Frequency:
		return "", nil
	default:
		return slug, nil
	}
}
