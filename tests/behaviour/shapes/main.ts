/** Runs every shape from a program that Node.js started: on the fabric at the given address, or an embedded one. Prints the faults. */
import { isDeepStrictEqual } from "node:util";
import { connect } from "heddle";
import { shapeFaults } from "./run-shapes.ts";

const [, , address] = process.argv;
await using fabric = await connect(address);
for (const fault of await shapeFaults(fabric, isDeepStrictEqual)) console.log(fault);
console.log("all shapes were tried");
