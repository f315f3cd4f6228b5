package digest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"gazetted/internal/news"
)

// slug is the edition's address in the public archive: its date, the
// frequency unless that is the list's first, and for instant mail the Seq.
// A private list has no archive; an edition that only repeats another in the
// archive has no slug.
func (e *Editor) slug(ctx context.Context, d *draft) (string, error) {
	if !d.list.Public {
		return "", nil
	}
	instant, zone := d.edition.Frequency == news.Instant, d.zone
	if d.list.Zone == news.ZoneSubscriber {
		repeats, err := e.repeats(ctx, d)
		if err != nil || repeats {
			return "", err
		}
		if instant {
			zone = time.UTC // nobody's own
		}
	}
	slug := d.edition.DueAt.In(zone).Format(time.DateOnly)
	if instant {
		slug += "-" + strconv.FormatInt(d.edition.CutoffSeq, 10)
	} else if len(d.list.Frequencies) > 0 && d.list.Frequencies[0].Name != d.edition.Frequency {
		slug += "-" + d.edition.Frequency
	}
	return slug, nil
}

// Bounds of the search for the zone that the archive follows: the latest
// archived editions, and all editions within one period of one frequency, of
// which there is one per zone.
const (
	archiveLook = 50
	zonesLook   = 500
)

// repeats tells whether an edition of a list in its subscribers' zones has a
// sister in another zone that is in the archive. The archive follows the zone
// of its latest edition; when that zone has had no slot since this zone's
// previous one, nobody lives there any more, and this zone takes its place.
func (e *Editor) repeats(ctx context.Context, d *draft) (bool, error) {
	archived, err := e.o.Store.ArchiveEditions(ctx, d.list.ID, 0, archiveLook)
	if err != nil {
		return false, fmt.Errorf("read archive: %w", err)
	}
	var latest news.Edition
	for i := len(archived) - 1; i >= 0; i-- { // they come newest first
		if archived[i].Frequency == d.edition.Frequency {
			latest = archived[i]
		}
	}
	switch {
	case latest.ID == 0:
		return false, nil
	case d.edition.Frequency == news.Instant: // all zones at once
		return latest.CutoffSeq >= d.edition.CutoffSeq, nil
	case latest.Zone == d.edition.Zone:
		return false, nil
	}
	past, err := e.o.Store.Editions(ctx, d.list.Name, d.edition.ID, zonesLook)
	if err != nil {
		return false, fmt.Errorf("read past editions: %w", err)
	}
	for _, p := range past {
		if p.Frequency == d.edition.Frequency && (p.Zone == latest.Zone || p.Zone == d.edition.Zone) {
			return p.Zone == latest.Zone, nil
		}
	}
	return true, nil
}
