const { Pool } = require("heddle");

console.log(typeof Pool);
