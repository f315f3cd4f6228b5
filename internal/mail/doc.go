// Package mail sends what waits in the outbox. In the order of its work:
//
//  1. compile: a Variant and its List become one MIME message, built once by
//     go-mail and cut where recipients differ (message.go, compile.go).
//  2. courier: claims deliveries and hands them to workers, one connection each
//     (courier.go, worker.go); a relay's breaker says whether there is any use
//     in trying (relay.go).
//  3. session: a message goes out up to, but without, its final dot (smtp.go,
//     session.go; capture.go is a relay that keeps the mail in a folder).
//  4. the store is told that the dot may be on its way, then the dot is sent.
//  5. outcome: the reply decides what becomes of the delivery (outcome.go), and
//     that is recorded before the next dot on the same connection (record.go).
//
// Until the final dot nothing can have been delivered, so every failure before
// it is a free retry; after it only a reply tells. That is why the dot is held
// back until the store has committed that it is coming (RFC 5321 §4.2.5).
package mail
