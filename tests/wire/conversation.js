// What an application does with node-postgres, printed as one line of JSON. Usage: node conversation.js URL
const { Client, Pool } = require("pg");

async function main() {
  const seen = [];
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  const run = async (...query) => {
    try {
      const result = await client.query(...query);
      seen.push(Array.isArray(result) ? result.map((one) => one.command) : [result.command, result.rowCount, result.rows]);
    } catch (error) {
      seen.push([error.code, error.message]);
    }
  };
  await run("DROP TABLE IF EXISTS stock");
  await run("CREATE TABLE stock (id int PRIMARY KEY, note text)");
  await run("INSERT INTO stock VALUES (1, 'a')");
  await run("INSERT INTO stock VALUES ($1, $2) RETURNING *", [2, "b"]);
  for (let round = 0; round < 3; round++) {
    await run({ name: "named", text: "SELECT * FROM stock WHERE id >= $1 ORDER BY id", values: [round] });
  }
  await run("BEGIN");
  await run("UPDATE stock SET note = 'c' WHERE id = 1");
  await run("INSERT INTO stock VALUES (1, 'again')");
  await run("ROLLBACK");
  await run("SELECT 1; SELECT 2");
  await run("SELECT * FROM nowhere");
  await run("");
  await client.end();
  const pool = new Pool({ connectionString: process.argv[2], max: 4 });
  await Promise.all([10, 11, 12, 13, 14].map((id) => pool.query("INSERT INTO stock VALUES ($1, 'p')", [id])));
  seen.push((await pool.query("SELECT * FROM stock ORDER BY id")).rows);
  await pool.end();
  console.log(JSON.stringify(seen));
}

main();
