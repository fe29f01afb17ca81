const { sep } = require("node:path");

exports.join = (...parts) => parts.join(sep);
