import { CONCURRENT, IN_FLIGHT, KEYS } from "../rows.ts";

/** What of a dict's calls is the same for everyone. */
export const key = (at: number): string => `key ${at % KEYS}`;

/** The keys of a dict into which so many values were set. */
export const keysOf = (count: number): string[] => Array.from({ length: Math.min(KEYS, count) }, (_, at) => key(at));

/** For the output. */
export const underWay = `${IN_FLIGHT.toLocaleString("en-US")} under way`;
export const concurrently = `${CONCURRENT} under way`;
