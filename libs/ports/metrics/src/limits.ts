/** Series of one server: its numbers, one for each value of their labels. Whoever has more names what users name: a test fails. */
export const SERIES_MAX = 200;
