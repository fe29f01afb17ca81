/** Thrown where something was met in a value that is not here yet, a function or what makes handles of shared objects: `Functions.fetch` it and read again. */
export class MissingPart {}
