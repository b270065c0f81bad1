/*
 * Scalingo's JavaScript client, from its token to a domain that is gone.
 * CERTFLEET_URL and CERTFLEET_TOKEN say where and who; what it saw is written
 * as one JSON object.
 */
"use strict";
const scalingo = require(process.argv[2]);

async function failure(promise) {
	try {
		await promise;
	} catch (e) {
		return { status: e.status, data: e.data, message: e.message };
	}
	return null;
}

async function main() {
	const url = process.env.CERTFLEET_URL;
	const client = await scalingo.clientFromToken(
		process.env.CERTFLEET_TOKEN, { apiUrl: url, authApiUrl: url });
	const domains = client.Domains, app = "sjs", saw = {};

	saw.self = await client.Users.self();
	saw.before = await domains.for(app);
	saw.created = await domains.create(app, { name: "www.sjs.test" });
	saw.listed = await domains.for(app);
	saw.shown = await domains.show(app, saw.created.id);
	saw.updated = await domains.update(app, saw.created.id,
		{ canonical: true });
	saw.taken = await failure(domains.create(app, { name: "www.sjs.test" }));
	saw.wrong = await failure(domains.create(app, { name: "no name" }));
	saw.theirs = await failure(domains.for("sjs-theirs"));
	await domains.destroy(app, saw.created.id);
	saw.gone = await failure(domains.show(app, saw.created.id));
	saw.after = await domains.for(app);
	console.log(JSON.stringify(saw));
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
