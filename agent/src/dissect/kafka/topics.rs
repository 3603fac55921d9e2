//! Names of topics by their ids. Newer clients name topics by id, in Fetch since version 13 and Produce since 13; what the
//! names are is said in answers about metadata, mostly on another connection: so names are put in behind dissection,
//! when it is known what all connections have told.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, PoisonError},
};

use super::{
    facts::{Facts, Topic},
    reading::LONGEST_TOPIC,
};
use crate::dissect::{Exchange, Head, Message};

/// Topics of a few large clusters, at some 300 bytes each at most.
const LIMIT: usize = 16_384;

/// What is said of an answer that names more.
pub const NAMES_LIMIT: &str = "topic_names_limit";

/// Ids are random (RFC 9562, version 4), so that one means one topic in all clusters.
#[derive(Debug, Default)]
pub struct TopicNames {
    /// `None`: two names were told for it, so that neither is believed.
    names: Mutex<HashMap<[u8; 16], Option<Box<str>>>>,
}

impl TopicNames {
    /// A broker says that this is the name; false when there is no room for it.
    pub fn learn(&self, id: [u8; 16], name: &str) -> bool {
        if id == [0; 16] || name.is_empty() || name.len() > LONGEST_TOPIC {
            return true;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let room = names.len() < LIMIT;
        match names.entry(id) {
            Entry::Vacant(entry) if room => {
                entry.insert(Some(name.into()));
            }
            Entry::Vacant(_) => return false,
            Entry::Occupied(mut entry) if entry.get().as_deref().is_some_and(|known| known != name) => {
                entry.insert(None);
            }
            Entry::Occupied(_) => {}
        }
        true
    }

    /// Names the topics that an exchange calls by their ids, as far as they are known.
    pub fn name_topics(&self, exchange: &mut Exchange) {
        let messages = [&mut exchange.request, &mut exchange.response];
        for facts in messages.into_iter().flatten().filter_map(facts) {
            for topic in &mut facts.topics {
                if let Topic::Id(id) = topic
                    && let Some(name) = self.name(*id)
                {
                    *topic = Topic::Name(name);
                }
            }
        }
    }

    fn name(&self, id: [u8; 16]) -> Option<Box<str>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.clone()
    }
}

/// An exchange calls a topic by its id.
pub fn has_unnamed(exchange: &mut Exchange) -> bool {
    let messages = [&mut exchange.request, &mut exchange.response];
    let mut facts = messages.into_iter().flatten().filter_map(facts);
    facts.any(|facts| facts.topics.iter().any(|topic| matches!(topic, Topic::Id(_))))
}

fn facts(message: &mut Message) -> Option<&mut Facts> {
    match &mut message.head {
        Head::KafkaRequest(request) => Some(&mut request.facts),
        Head::KafkaResponse(response) => Some(&mut response.facts),
        Head::HttpRequest(_) | Head::HttpResponse(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_believed_and_two_are_not() {
        let names = TopicNames::default();
        assert!(names.learn([1; 16], "orders"));
        assert!(names.learn([1; 16], "orders"));
        assert!(names.learn([0; 16], "none"));
        assert_eq!(names.name([1; 16]).as_deref(), Some("orders"));
        assert!(names.learn([1; 16], "payments"));
        assert!(names.learn([1; 16], "orders"));
        assert_eq!([names.name([1; 16]), names.name([0; 16]), names.name([2; 16])], [None, None, None]);
    }

    #[test]
    fn hostile_brokers_fill_no_memory() {
        let names = TopicNames::default();
        for n in 0..2 * LIMIT {
            assert_eq!(names.learn((n as u128 + 1).to_be_bytes(), "x"), n < LIMIT);
        }
        assert_eq!(names.names.lock().unwrap().len(), LIMIT);
    }
}
