import { Pool, range } from "heddle";
import { cube } from "./tasks.ts";

const pool = new Pool({ processes: 2 });
console.log(JSON.stringify(await pool.map(cube, range(5))));
