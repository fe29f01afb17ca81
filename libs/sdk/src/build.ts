/** This release, for people and for Hello. Equal to the version in package.json: a test compares them. */
export const BUILD = "0.1.0";
