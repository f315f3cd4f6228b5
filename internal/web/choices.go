package web

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"gazetted/internal/news"
	"gazetted/templates"
)

// readChoices reads what sign-up and preferences have in common: frequency,
// topics and zone. A choice that the list does not offer is a fault.
func readChoices(ctx context.Context, store feedStore, f url.Values, idx *termIndex, l *news.List) (news.Preferences, []templates.Fault) {
	p := news.Preferences{Frequency: f.Get("frequency")}
	var faults []templates.Fault
	if p.Frequency != "" {
		if _, ok := l.Frequency(p.Frequency); !ok {
			faults = append(faults, templates.Fault{Field: "frequency", Text: "Choose one of the rhythms that are offered."})
			p.Frequency = ""
		}
	}
	var err error
	if p.Topics, err = news.CleanTopics(f["topic"]); err != nil {
		faults = append(faults, templates.Fault{Field: "topic", Text: "Choose at most 100 topics from those that are offered."})
	}
	asked := len(p.Topics)
	if p.Topics = current(ctx, p.Topics, idx, store); asked > 0 && len(p.Topics) == 0 {
		// No topic means every article, which nobody asked for here.
		faults = append(faults, templates.Fault{Field: "topic", Text: "The topics you chose are no longer offered. Choose others, or none to receive everything."})
	}
	zone := strings.TrimSpace(f.Get("zone"))
	if l.Zone != news.ZoneSubscriber || zone == "" {
		return p, faults
	}
	if p.Zone = findZone(zone); p.Zone == "" {
		faults = append(faults, templates.Fault{Field: "zone", Text: "Choose a time zone from the list, such as Europe/Istanbul."})
	}
	return p, faults
}

// current follows topics that were renamed since the form was opened and drops
// those that are gone: nothing would ever match them.
func current(ctx context.Context, topics []news.Topic, idx *termIndex, store feedStore) []news.Topic {
	out := make([]news.Topic, 0, len(topics))
	for _, topic := range topics {
		kind, slug := topic.Split()
		t, err := idx.find(ctx, store, kind, slug)
		var m *moved
		if errors.As(err, &m) {
			t, err = m.term, nil
		}
		if err == nil {
			out = append(out, t.Topic())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// findZone accepts an IANA name in any case and with spaces, and a city alone
// where the list of the form has it.
func findZone(text string) string {
	text = strings.ReplaceAll(text, " ", "_")
	for _, z := range zoneNames() {
		if strings.EqualFold(z, text) || strings.EqualFold(z[strings.LastIndexByte(z, '/')+1:], text) {
			return z
		}
	}
	if len(text) > 64 {
		return ""
	}
	if loc, err := news.LoadZone("zone", text); err == nil {
		return loc.String()
	}
	return ""
}

// zoneNames are the zones that forms offer: those of the large cities of every
// offset and continent. Any other IANA name is accepted, too.
func zoneNames() []string {
	return strings.Fields(`UTC
Africa/Abidjan Africa/Accra Africa/Addis_Ababa Africa/Algiers Africa/Cairo Africa/Casablanca Africa/Dakar
Africa/Dar_es_Salaam Africa/Harare Africa/Johannesburg Africa/Kampala Africa/Khartoum Africa/Kinshasa Africa/Lagos
Africa/Luanda Africa/Lusaka Africa/Maputo Africa/Nairobi Africa/Tripoli Africa/Tunis Africa/Windhoek
America/Anchorage America/Argentina/Buenos_Aires America/Asuncion America/Bogota America/Caracas America/Chicago
America/Denver America/Edmonton America/Guatemala America/Guayaquil America/Halifax America/Havana America/Jamaica
America/La_Paz America/Lima America/Los_Angeles America/Manaus America/Mexico_City America/Montevideo America/New_York
America/Panama America/Phoenix America/Puerto_Rico America/Regina America/Santiago America/Santo_Domingo
America/Sao_Paulo America/St_Johns America/Tijuana America/Toronto America/Vancouver America/Winnipeg
Asia/Almaty Asia/Amman Asia/Baghdad Asia/Bahrain Asia/Baku Asia/Bangkok Asia/Beirut Asia/Colombo Asia/Damascus
Asia/Dhaka Asia/Dubai Asia/Ho_Chi_Minh Asia/Hong_Kong Asia/Irkutsk Asia/Jakarta Asia/Jerusalem Asia/Kabul
Asia/Karachi Asia/Kathmandu Asia/Kolkata Asia/Krasnoyarsk Asia/Kuala_Lumpur Asia/Kuwait Asia/Manila Asia/Muscat
Asia/Novosibirsk Asia/Omsk Asia/Phnom_Penh Asia/Qatar Asia/Riyadh Asia/Seoul Asia/Shanghai Asia/Singapore Asia/Taipei
Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Tokyo Asia/Ulaanbaatar Asia/Vladivostok Asia/Yangon Asia/Yekaterinburg
Asia/Yerevan
Atlantic/Azores Atlantic/Canary Atlantic/Cape_Verde Atlantic/Reykjavik
Australia/Adelaide Australia/Brisbane Australia/Darwin Australia/Hobart Australia/Melbourne Australia/Perth
Australia/Sydney
Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Bucharest
Europe/Budapest Europe/Chisinau Europe/Copenhagen Europe/Dublin Europe/Helsinki Europe/Istanbul Europe/Kaliningrad
Europe/Kyiv Europe/Lisbon Europe/Ljubljana Europe/London Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Minsk
Europe/Moscow Europe/Oslo Europe/Paris Europe/Podgorica Europe/Prague Europe/Riga Europe/Rome Europe/Samara
Europe/Sarajevo Europe/Skopje Europe/Sofia Europe/Stockholm Europe/Tallinn Europe/Tirane Europe/Vienna Europe/Vilnius
Europe/Warsaw Europe/Zagreb Europe/Zurich
Indian/Maldives Indian/Mauritius Pacific/Auckland Pacific/Fiji Pacific/Guam Pacific/Honolulu Pacific/Port_Moresby
Pacific/Tongatapu`)
}
