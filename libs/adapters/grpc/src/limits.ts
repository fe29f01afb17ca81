/** Named bounds of the gRPC adapter. */

/** A client or server asks a silent connection for a sign of life this often. */
export const KEEPALIVE_TIME_MS = 10_000;
/** A connection that does not answer the question within this time is dropped. */
export const KEEPALIVE_TIMEOUT_MS = 5_000;
/** A stream that the server has not accepted within this time: its dial is given up, and its connection if nothing else uses it. */
export const DIAL_TIMEOUT_MS = 5_000;
/** A connection that does not greet within this time from when it was taken is dropped by the server, TLS or not. */
export const GREETING_TIMEOUT_MS = 5_000;
/** A TLS handshake that takes longer is given up by the server. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;
/** Flow-control window of a stream and of a connection over TCP, at both ends. Larger ones can deadlock Node's http2. */
export const TCP_WINDOW_BYTES = 1024 * 1024;
/** The same over unix sockets, whose buffers are smaller: HTTP/2's own default. */
export const UNIX_WINDOW_BYTES = 65_535;
/** Streams of one connection. More are refused as unavailable. */
export const STREAMS_MAX = 256;
/** Connections of one server. More are dropped as they come. */
export const CONNECTIONS_MAX = 4_096;
/** Connections of one certificate's role and name at one server. More are dropped once they have shown their certificate. */
export const CALLER_CONNECTIONS_MAX = CONNECTIONS_MAX / 2;
/**
 * Requests of one certificate's role and name that are under way at one server: more than the sessions and streams of beats together that it may have.
 * Above: refused as LimitError.
 */
export const CALLER_STREAMS_MAX = 4_608;
/** Requests, all about health, of one connection that has not proved to know the token. Above: refused as LimitError. */
export const STRANGER_STREAMS_MAX = 4;
/**
 * Connections of one server that have not greeted yet, or where a token is needed have not proved that they know it. When one more comes
 * the oldest is cut, so that those who say nothing keep nobody out.
 */
export const STRANGERS_MAX = 256;
/** Pings and settings, and likewise refused requests, that one connection may send within RATE_SPAN_MS. Above: it is dropped. */
export const CONTROL_FRAMES_MAX = 200;
export const REFUSALS_MAX = 100;
export const RATE_SPAN_MS = 10_000;
/** Requests that one connection may open and reset at once, and how many more each second. Above: it is dropped. */
export const RESET_BURST = 1_000;
export const RESET_RATE = 33;
/** Frames that make no sense, streams beyond STREAMS_MAX among them, and streams refused for want of memory, of one connection. Above: it is dropped. */
export const INVALID_FRAMES_MAX = 100;
export const REJECTED_STREAMS_MAX = 256;
/**
 * Bytes, and pairs of name and value, of the headers of one request. Above: the stream is reset before anyone sees it. Until a peer has agreed to the
 * settings nghttp2 bounds the bytes alone, by nine frames of 16 KiB.
 */
export const HEADER_BYTES_MAX = 16 * 1024;
export const HEADER_PAIRS_MAX = 64;
/** Time in which a question must have come whole, and again in which its answer must have left. Above: its stream is reset. */
export const QUESTION_TIMEOUT_MS = 10_000;
/** A connection without streams is closed after this time. */
export const CONNECTION_IDLE_MS = 5 * 60_000;
/** A connection is closed after about this time; its sessions dial again. */
export const CONNECTION_AGE_MS = 30 * 60_000;
/** Streams of a connection that came of age are broken after this time. */
export const CONNECTION_GRACE_MS = 60_000;
/** Memory of one HTTP/2 connection in megabytes, the unit of Node's http2. Above: new streams are refused. */
export const CONNECTION_MEMORY_MB = 64;
/** Handed over and not yet taken by HTTP/2: `send()` returns false from either one. */
export const UNSENT_BYTES = 512 * 1024;
export const UNSENT_MESSAGES = 64;
/** Received and not yet read: the peer is held back from either one. */
export const UNREAD_BYTES = 512 * 1024;
export const UNREAD_MESSAGES = 64;
/** Longest time that an orderly end waits for the peer. Above: the stream is reset. */
export const END_TIMEOUT_MS = 1_000;
/** Longest time that a server waits for its connections to end once its streams have. Above: they are destroyed. */
export const SHUTDOWN_TIMEOUT_MS = 2_000;
/** Encoded length of a status message. Longer ones are cut: oversize trailers make Node refuse the stream. */
export const STATUS_TEXT_BYTES = 3_072;
/** Longest deadline of a question; a larger one would wrap around on the wire. */
export const DEADLINE_MS_MAX = 24 * 3_600_000;
/** How far the clocks of a proof's maker and of its checker may be apart, either way. Above: the proof is refused. */
export const PROOF_VALID_MS = 60_000;
/**
 * Proofs that a checker remembers in each of two generations. Above: the older generation is forgotten, and with it every proof
 * refused that is not newer than it.
 */
export const PROOFS_REMEMBERED = 65_536;
/** A dial in clear that is hung up on asks the server whether it speaks TLS. Above this time it is taken not to. */
export const TLS_PROBE_MS = 500;
/** Files of certificates and keys are looked at for changes this often. */
export const TLS_POLL_MS = 5_000;
/** A server or agent says that its certificate runs out when one such part of its life is left; so long before at most, and at least; and again after so long. */
export const EXPIRY_LIFE_PARTS = 10;
export const EXPIRY_WARN_MS_MAX = 7 * 24 * 3_600_000;
export const EXPIRY_WARN_MS_MIN = 3_600_000;
export const EXPIRY_REPEAT_MS = 24 * 3_600_000;
/** A file of certificates or of a key. A larger one is refused. */
export const TLS_FILE_BYTES_MAX = 1024 * 1024;
/** Subject or issuer of a certificate in the log. A longer one is cut, so that a line has room for both. */
export const CERTIFICATE_NAME_CHARS = 50;
/** Certificates of one file. A file with more is refused. */
export const CHAIN_CERTIFICATES_MAX = 64;
