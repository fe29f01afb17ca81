/** How long an authority is good for unless said otherwise. */
export const AUTHORITY_DAYS = 3_650;

/** How long an identity is good for unless said otherwise. It ends with its authority in any case. */
export const IDENTITY_DAYS = 365;

/** Longest life that can be asked for. More is refused: InvalidArgumentError. */
export const DAYS_MAX = 36_500;

/** Host names and addresses of one certificate, which travels in every handshake. More are refused: InvalidArgumentError. */
export const HOSTS_MAX = 100;

/** Certificates are good from so long ago on: the clock of who looks at them may be late. */
export const CLOCK_DIFFERENCE_MS = 5 * 60_000;

/** Length of a PEM file, of which all that is read is in memory. A longer one is refused: InvalidArgumentError. */
export const PEM_BYTES_MAX = 1024 * 1024;

export const DAY_MS = 86_400_000;
