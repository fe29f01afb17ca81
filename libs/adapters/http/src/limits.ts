/** Named bounds of the port for health and metrics, which whoever reaches it may use. */

/** Connections at a time. When one more comes the oldest is cut: those who say nothing keep nobody out. */
export const HTTP_CONNECTIONS_MAX = 64;
/** A connection is one request and its answer. Above this time it is cut, whatever it does. */
export const HTTP_CONNECTION_MS = 10_000;
/** A request whose headers have not come within this time is answered with 408. */
export const HTTP_HEADERS_MS = 5_000;
/** The request line and its headers. More is answered with 431. */
export const HTTP_HEADER_BYTES_MAX = 8 * 1024;
/** Pages of metrics made within a second. Who asks when there were as many gets the newest of them again. */
export const METRICS_PER_SECOND_MAX = 20;
