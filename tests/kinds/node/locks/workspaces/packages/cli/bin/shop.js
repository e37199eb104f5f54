#!/usr/bin/env node
console.log(require("@shop/shared"))
